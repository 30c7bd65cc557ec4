// A converted and shared model on disk: what `lodge-model approximate` and `share` leave.

public import Approximation
import Bytes
import Foundation
public import Models
public import Program
public import Sharing

/// model.lodge and the bundles of one checkpoint in a folder of their own.
public struct ConversionFiles: Sendable {
  public let scratch: ScratchFolder
  public let checkpoint: String
  public let model: Model
  public let weights: any WeightSource
  public let calibration: Calibration
  public let recipe: Recipe
  public let result: ShareWriter.Result

  public var program: SecureProgram { result.program }
  public var modelPath: String { scratch.file("model.lodge") }
  public var folder: String { scratch.file("shares") }

  public func bundlePath(_ party: Int) -> String { "\(folder)/party\(party).bundle" }

  public init(checkpoint: String, texts: [[Int]], recipe: Recipe = .accurate) throws {
    let loaded = try ModelLoader.load(path: checkpoint)
    try self.init(
      loaded.model, weights: loaded, checkpoint: checkpoint, texts: texts, recipe: recipe)
  }

  private init(
    _ model: Model, weights: any WeightSource, checkpoint: String, texts: [[Int]], recipe: Recipe
  ) throws {
    scratch = try ScratchFolder()
    self.model = model
    self.weights = weights
    self.checkpoint = checkpoint
    self.recipe = recipe
    calibration = try Calibration.observe(
      FloatInterpreter(model, weights: weights), texts: texts, source: "calibration texts")
    try ModelFile.write(
      to: scratch.file("model.lodge"), model: model, recipe: recipe,
      calibration: calibration, checkpoint: "checkpoint", weights: weights)
    result = try ShareWriter.share(
      ModelFile(path: scratch.file("model.lodge")), into: scratch.file("shares"))
  }

  /// Shares the same model.lodge once more, as another conversion.
  public func shareAgain(into name: String) throws -> ShareWriter.Result {
    try ShareWriter.share(ModelFile(path: modelPath), into: scratch.file(name))
  }

  /// Plaintext ring elements of every weight as they were shared, with blocks in their secret order.
  public func sharedWeights() throws -> [[UInt64]] {
    let bundles = try (0...1).map { try PartyBundle(path: "\(folder)/party\($0).bundle") }
    return try program.weights.indices.map { id in
      zip(try bundles[0].share(id), try bundles[1].share(id)).map { $0 &+ $1 }
    }
  }

  /// The same encoded from the checkpoint itself, with blocks in the model's order.
  public func encodedWeights() throws -> [[UInt64]] {
    let encoder = WeightEncoder(source: checkpoint, weights: weights)
    return try program.weights.map { try encoder.encode($0) }
  }
}

extension ConversionFiles {
  /// The trained model that ships with the repository.
  public static func fixture() throws -> ConversionFiles {
    let folder = Repository.fixtures.appending(path: "opt-dickens-5m").path
    return try ConversionFiles(
      checkpoint: folder, texts: TokenFile.read("\(folder)/calibration.json"))
  }

  /// A model of a few thousand parameters, with random weights.
  public static func tiny(_ checkpoint: TinyCheckpoint, recipe: Recipe = .accurate) throws
    -> ConversionFiles
  {
    let folder = try ScratchFolder()
    return try ConversionFiles(
      checkpoint: checkpoint.write(to: folder), texts: tinyTexts, recipe: recipe)
  }

  /// A graph that stands for no checkpoint.
  public static func tiny(_ graph: TinyGraph, recipe: Recipe = .accurate) throws -> ConversionFiles
  {
    try ConversionFiles(
      graph.model, weights: graph, checkpoint: "graph", texts: graph.model.texts(tinyTexts),
      recipe: recipe)
  }

  /// Texts that fit the vocabulary and the positions of `TinyCheckpoint`.
  public static let tinyTexts = [[1, 4, 2, 8, 5, 7], [0, 10, 3], [9, 9, 6, 1, 2]]
}
