// Programs that the tests of this folder read, change and check.

import Approximation
import Bytes
import Foundation
import Models
import Program
import TestSupport

enum Programs {
  /// A small lowered program, with the model and the ranges it comes from.
  static func lowered(_ checkpoint: TinyCheckpoint) throws -> (
    model: Model, calibration: Calibration, program: SecureProgram
  ) {
    let folder = try ScratchFolder()
    let converted = try ConvertedModel(
      path: checkpoint.write(to: folder), calibrationTexts: ConversionFiles.tinyTexts,
      recipe: withMaximum)
    return (converted.loaded.model, converted.calibration, converted.program)
  }

  /// With a tree for the maximum and openings that are truncated: most operations.
  static let withMaximum = {
    var recipe = Recipe.accurate
    recipe.choose(ReplacementChoice(MinimaxSoftmax()), for: .softmax)
    return recipe
  }()

  private static let tinyDecoder = Result { try lowered(.opt()).program }
  private static let tinyEncoder = Result { try lowered(.bert()).program }

  /// Two layers, two heads, widths 8 and 12, 6 positions.
  static func decoder() throws -> SecureProgram { try tinyDecoder.get() }
  static func encoder() throws -> SecureProgram { try tinyEncoder.get() }

  /// One LLaMA-like layer with 4 heads that share 2 key heads of width 4, 6 positions.
  static func grouped() throws -> SecureProgram { try tinyGrouped.get() }

  private static let tinyGrouped = Result { try lowered(TinyGraph.llama(), recipe: withMaximum) }

  static func lowered(_ graph: TinyGraph, recipe: Recipe) throws -> SecureProgram {
    let calibration = try Calibration.observe(
      FloatInterpreter(graph.model, weights: graph),
      texts: graph.model.texts(ConversionFiles.tinyTexts), source: "calibration texts")
    return try SecureProgram.lower(graph.model, recipe: recipe, calibration: calibration)
  }

  /// The program of the trained model that ships with the repository.
  static func fixture() throws -> SecureProgram {
    let folder = Repository.fixtures.appending(path: "opt-dickens-5m").path
    return try ConvertedModel(
      path: folder, calibrationTexts: Array(TokenFile.read("\(folder)/calibration.json").prefix(2))
    ).program
  }
}

extension SecureProgram {
  /// Index of the first node whose primitive is called `name`.
  func first(_ name: String) -> Int? { nodes.firstIndex { $0.operation.name == name } }
}
