// A model converted in memory: graph, program, encoded weights; from a checkpoint on disk.

public import Approximation
import Bytes
import Foundation
public import Models
public import Program
import Sharing

/// What `lodge-model approximate` and `share` compute, without files.
public struct ConvertedModel: Sendable {
  public let loaded: LoadedModel
  public let interpreter: FloatInterpreter
  public let calibration: Calibration
  public let program: SecureProgram
  /// Plaintext ring elements of every weight.
  public let weights: [[UInt64]]

  public init(
    path: String, gates: String? = nil, calibrationTexts: [[Int]], recipe: Recipe = .accurate,
    output: ModelOutput? = nil
  ) throws {
    loaded = try ModelLoader.load(path: path, gates: gates, output: output)
    interpreter = try FloatInterpreter(loaded)
    calibration = try Calibration.observe(
      interpreter, texts: calibrationTexts, source: "calibration texts")
    program = try SecureProgram.lower(loaded.model, recipe: recipe, calibration: calibration)
    let encoder = WeightEncoder(source: path, weights: loaded)
    weights = try program.weights.map { try encoder.encode($0) }
  }

  /// The model that ships with the repository, calibrated on the texts beside it; by `accurate` it is
  /// converted once for all tests.
  public static func fixture(recipe: Recipe = .accurate) throws -> ConvertedModel {
    recipe == .accurate ? try accurateFixture.get() : try convertedFixture(recipe)
  }

  private static let accurateFixture = Result { try convertedFixture(.accurate) }

  private static func convertedFixture(_ recipe: Recipe) throws -> ConvertedModel {
    let folder = Repository.fixtures.appending(path: "opt-dickens-5m")
    return try ConvertedModel(
      path: folder.path,
      calibrationTexts: TokenFile.read(folder.appending(path: "calibration.json").path),
      recipe: recipe)
  }

  /// One-hot rows of `tokens`.
  public func oneHot(_ tokens: [Int]) -> [UInt64] {
    var rows = [UInt64](repeating: 0, count: tokens.count * program.vocabularySize)
    for (row, token) in tokens.enumerated() { rows[row * program.vocabularySize + token] = 1 }
    return rows
  }

  /// Output words as real numbers.
  public func decoded(_ words: [UInt64]) -> [Float] {
    program.outputValues(words)
  }
}

/// A prompt of a model's reference set.
public struct ReferencePrompt: Sendable {
  public var name: String
  public var tokens: [Int]
  /// The greedy continuation; empty for encoders and full contexts.
  public var greedy: [Int]

  /// The reference prompts of the fixture.
  public static func fixture() throws -> [ReferencePrompt] {
    try read(
      Repository.fixtures.appending(path: "opt-dickens-5m/reference/prompts.json").path)
  }

  public static func read(_ path: String) throws -> [ReferencePrompt] {
    guard case .array(let elements) = try JSON.read(path) else { return [] }
    return try elements.map { element in
      var reader = try JSONReader(element, source: path)
      return ReferencePrompt(
        name: try reader.string("name"), tokens: try reader.integers("ids"),
        greedy: (try? reader.integers("greedy")) ?? [])
    }
  }
}
