// Calibration files: what they hold, how they add up, and whose they are.

import Approximation
import Bytes
import Foundation
import Models
import Sharing
import TestSupport
import Testing

@Suite struct CalibrationFileTests {
  private let folder: ScratchFolder
  private let loaded: LoadedModel

  init() throws {
    folder = try ScratchFolder()
    loaded = try ModelLoader.load(path: TinyCheckpoint.opt().write(to: folder))
  }

  private func calibrate(_ texts: [[Int]]) throws -> CalibrationFile {
    try CalibrationFile(
      model: loaded.model, weights: loaded, checkpoint: "tiny",
      calibration: .observe(FloatInterpreter(loaded), texts: texts, source: "texts"))
  }

  @Test func roundTrip() throws {
    let written = try calibrate(ConversionFiles.tinyTexts)
    let path = folder.file("c.h5")
    try written.write(to: path)
    let read = try CalibrationFile(path: path)
    #expect(read.calibration == written.calibration)
    #expect(read.model == loaded.model && read.checkpoint == "tiny")
    #expect(read.calibration.textCount == 3 && read.calibration.tokenCount == 14)
    try read.check(loaded.model, weights: loaded, path: path)
  }

  /// Both halves add up to the whole, bit for bit.
  @Test func mergedCalibrationsAreThoseOfAllTexts() throws {
    let texts = ConversionFiles.tinyTexts
    var sum = try calibrate(Array(texts.prefix(1)))
    try sum.merge(calibrate(Array(texts.dropFirst())))
    #expect(try sum.calibration == calibrate(texts).calibration)
  }

  @Test func histogramsCountWhatWasObserved() throws {
    var seen: [String: [Float]] = [:]
    _ = try FloatInterpreter(loaded).run(tokens: [1, 4, 2]) { index, kind, values in
      if kind == .output { seen[loaded.model.nodes[index].name, default: []] += values }
    }
    let calibration = try calibrate([[1, 4, 2]]).calibration
    for (name, values) in seen {
      let histogram = try #require(calibration.histograms[name]?[.output])
      #expect(histogram.count == UInt64(values.count))
      #expect(histogram.zeroCount == UInt64(values.count { $0 == 0 }))
      for (bin, count) in histogram.counts.enumerated() {
        // A border belongs to the bin that is further from 0.
        let (low, high) = (Histogram.edges[bin], Histogram.edges[bin + 1])
        let isNegative = bin < Histogram.binCount / 2
        let isMiddle = bin == Histogram.binCount / 2
        let expected = values.count { value in
          let x = Double(value)
          return isMiddle
            ? x > low && x < high : isNegative ? x > low && x <= high : x >= low && x < high
        }
        #expect(count == UInt64(expected), "\(name): \(low) to \(high)")
      }
      let range = try #require(calibration.ranges[name]?[.output])
      #expect(Float(range.lowerBound) == values.min() && Float(range.upperBound) == values.max())
      let sorted = values.sorted()
      let median = histogram.quantile(0.5, within: range)
      let near = Double(sorted[values.count / 2])
      let below = Double(sorted[values.count / 2 - 1])
      #expect(median >= below - abs(below) / 8 - 1e-6 && median <= near + abs(near) / 8 + 1e-6)
    }
  }

  @Test func anotherModelsCalibrationIsRefused() throws {
    let path = folder.file("c.h5")
    try calibrate([[1, 2]]).write(to: path)
    var changed = TinyCheckpoint.opt()
    changed.tensors["model.decoder.layers.1.fc1.weight"]?.values[0] += 1
    let otherFolder = try ScratchFolder()
    let other = try ModelLoader.load(path: changed.write(to: otherFolder))
    let file = try CalibrationFile(path: path)
    #expect(
      inputError { try file.check(other.model, weights: other, path: path) }?.cause
        == "the calibration is of another model (tiny)")
    var sum = file
    let error = inputError {
      try sum.merge(
        CalibrationFile(
          model: other.model, weights: other, checkpoint: "other", calibration: Calibration()))
    }
    #expect(error?.cause.contains("different models") == true)
  }

  @Test func changedFilesAreRefused() throws {
    let path = folder.file("c.h5")
    try calibrate([[1, 2]]).write(to: path)
    let cases: [([String], JSON?, String)] = [
      (["histograms", "0", "node"], "nowhere", "histograms[0]"),
      (["histograms", "1", "quantity"], "output2", "histograms[1]"),
      (["modelDigest"], "00", "modelDigest"), (["more"], 1, "more"),
      (["model", "kind"], "both", "model.kind"),
    ]
    for (member, value, place) in cases {
      let copy = folder.file("changed.h5")
      try DamagedFile.rewrite(path, to: copy) { header in
        guard case .object(let changed) = JSON.object(header).setting(member, to: value) else {
          return
        }
        header = changed
      }
      #expect(inputError { _ = try CalibrationFile(path: copy) }?.place == place)
    }
  }
}
