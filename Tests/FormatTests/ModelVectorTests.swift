// model.lodge and a calibration file of formats/vectors, which an earlier version has written.

import Approximation
import Bytes
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing

struct ModelVectorTests {
  private static let folder = "\(FormatVector.folder)/model"

  /// `LODGE_WRITE_VECTORS=1` writes both files anew, of a model with one layer.
  private static let isWriting =
    ProcessInfo.processInfo.environment["LODGE_WRITE_VECTORS"] == "1"

  private func write() throws {
    let files = try ConversionFiles.tiny(.opt(layerCount: 1))
    try FileManager.default.createDirectory(
      atPath: Self.folder, withIntermediateDirectories: true)
    let path = "\(Self.folder)/model.lodge"
    try? FileManager.default.removeItem(atPath: path)
    try FileManager.default.copyItem(atPath: files.modelPath, toPath: path)
    try CalibrationFile(
      model: files.model, weights: files.weights, checkpoint: "checkpoint",
      calibration: files.calibration
    ).write(to: "\(Self.folder)/text.calibration")
  }

  @Test func modelAndCalibrationAreRead() throws {
    if Self.isWriting { try write() }
    let file = try ModelFile(path: "\(Self.folder)/model.lodge")
    let calibration = try CalibrationFile(path: "\(Self.folder)/text.calibration")
    #expect(file.model.family == "opt" && file.recipe.name == "accurate")
    #expect(calibration.model == file.model)
    #expect(calibration.calibration == file.calibration)
    #expect(calibration.calibration.tokenCount == 14)
    // A model that can be read can be converted.
    let folder = try ScratchFolder()
    let result = try ShareWriter.share(file, into: folder.file("shares"))
    #expect(result.program.maximumPositions == file.model.maximumPositions)
  }
}
