// Gates of heads for a trained model, from what heads add to the file.

import Bytes
import Checkpoints
import Foundation
import Models
import Sparsity
import TestSupport
import Testing

@Suite struct HeadSparsifierTests {
  private static let opt = Repository.fixtures.appending(path: "opt-dickens-5m")

  private static func texts(_ name: String) throws -> [[Int]] {
    try TokenFile.read(opt.appending(path: name).path)
  }

  /// Gates keep the mass that they are asked for on text that they have not seen, and the model
  /// that the file makes opens as many heads as the report says.
  @Test func gatesOfATrainedModelKeepTheMass() throws {
    let loaded = try ModelLoader.load(path: Self.opt.path)
    var settings = Sparsifier.Settings()
    settings.rank = 8
    settings.mass = 0.8
    let interpreter = try FloatInterpreter(loaded)
    let heldOut = try Self.texts("evaluation.json")
    let layers = try HeadSparsifier(interpreter, weights: loaded, settings: settings).run(
      texts: Self.texts("calibration.json"), heldOut: heldOut, source: "calibration.json")
    #expect(layers.map(\.site.layer) == [1, 2, 3, 4, 5])
    for layer in layers {
      #expect(layer.site.headCount * layer.headWidth == 256)
      #expect(layer.quality.massKept > 0.75, "layer \(layer.site.layer): \(layer.quality)")
      #expect(layer.quality.positionCount == 2048 && layer.keyCount == 128.5)
      #expect(layer.isGated)
      // Fewer heads than the share of the mass: they are chosen.
      #expect(layer.quality.openShare < 0.8, "layer \(layer.site.layer): \(layer.quality)")
    }

    let folder = try ScratchFolder()
    let path = folder.file("gates.safetensors")
    try GatesFile.write(layers, beside: nil, to: path)
    let gated = try ModelLoader.load(path: Self.opt.path, gates: path)
    let isGated = layers.filter(\.isGated)
    #expect(gated.notices == ["gates.safetensors gates the heads of \(isGated.count) layers"])
    let first = try #require(isGated.first)
    let number = first.site.layer
    // Nothing is skipped before the first gated layer: what its gates read is what they were judged
    // by.
    var bits: [Float] = []
    let reader = try FloatInterpreter(gated)
    try reader.run(
      texts: heldOut, source: "evaluation.json",
      observe: { node, kind, values in
        if kind == .output, gated.model.nodes[node].name == "layers.\(number).headGate" {
          bits += values
        }
      })
    let open = Double(bits.reduce(0, +)) / Double(bits.count)
    #expect(abs(open - first.quality.openShare) < 1e-3, "\(open), \(first.quality)")

    // The mass of a text is that of the norms of what heads add.
    let site = first.site
    var mixed: [Float] = []
    _ = try interpreter.run(tokens: heldOut[0]) { node, kind, values in
      if kind == .output, node == site.attention { mixed = values }
    }
    guard case .linear(_, let name, _) = loaded.model.nodes[site.output].operation else {
      Issue.record("no output projection reads the heads")
      return
    }
    let weight = try loaded.weight(name)
    let (heads, width, rows) = (site.headCount, first.headWidth, 32)
    var kept: Float = 0
    for row in 0..<rows {
      let norms = (0..<heads).map { head in
        (0..<256).reduce(Float(0)) { sum, output in
          var product: Float = 0
          for column in head * width..<(head + 1) * width {
            product += weight[output * 256 + column] * mixed[row * 256 + column]
          }
          return sum + product * product
        }.squareRoot()
      }
      let sum = norms.reduce(0, +)
      for head in 0..<heads { kept += bits[row * heads + head] * norms[head] / sum }
    }
    #expect(abs(Double(kept) / Double(rows) - first.quality.massKept) < 0.1)
  }

  /// Gates of feed-forward parts stay in the file, and heads have gates once.
  @Test func gatesStandBesideOthers() throws {
    let folder = try ScratchFolder()
    let checkpoint = try TinyCheckpoint.opt().write(to: folder)
    var builder = SafetensorsBuilder()
    builder.setHeader("__metadata__", ["format": "lodge-gates", "version": "1"])
    builder.add(
      "layers.1.order", type: "I32", shape: [2], bytes: [3, 0, 0, 0, 5, 0, 0, 0])
    _ = try folder.write(builder.bytes, to: "gates.safetensors")
    let loaded = try ModelLoader.load(path: checkpoint)
    let texts = (0..<12).map { text in (0..<6).map { (text * 7 + $0 * 3) % 11 } }
    var settings = Sparsifier.Settings()
    settings.mass = 0.5
    let layers = try HeadSparsifier(
      FloatInterpreter(loaded), weights: loaded, settings: settings
    ).run(texts: texts, heldOut: [], source: "texts")
    #expect(layers.count == 1)
    // Nearly all heads are open on so few positions: written as if they were not.
    var paying = layers
    paying[0].quality.openShare = 0.5
    let path = folder.file("both.safetensors")
    try GatesFile.write(paying, beside: loaded.gates, to: path)
    let both = try Safetensors(path: path)
    #expect(try both.integers("layers.1.order") == [3, 5])
    #expect(try both.floats("layers.1.heads.bias") == layers[0].gate.bias)
    let gated = try ModelLoader.load(path: checkpoint, gates: path)
    let error = #expect(throws: InputError.self) {
      try HeadSparsifier(FloatInterpreter(gated), weights: gated, settings: settings)
    }
    #expect(error?.cause == "its heads have gates already")
  }

  @Test func modelsWithoutSuchHeadsSayWhy() throws {
    let folder = try ScratchFolder()
    let loaded = try ModelLoader.load(path: TinyCheckpoint.bert().write(to: folder))
    let error = #expect(throws: InputError.self) {
      try HeadSparsifier(FloatInterpreter(loaded), weights: loaded, settings: .init())
    }
    #expect(error?.cause.contains("heads of encoders are not skipped") == true)
  }
}
