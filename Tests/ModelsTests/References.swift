// Reference outputs beside the test models.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

/// A folder with a checkpoint and `reference/`, as the fixture and the shared models have it.
struct ReferenceModel {
  let folder: URL

  static let opt = ReferenceModel(folder: Repository.fixtures.appending(path: "opt-dickens-5m"))

  /// all-MiniLM-L6-v2, for tests that need the shared models.
  static var miniLM: ReferenceModel { get throws { try shared("minilm-l6-v2") } }

  /// gpt2-dickens-6m and stories260k, for tests that need the shared models.
  static var gpt2: ReferenceModel { get throws { try shared("gpt2-dickens-6m") } }
  static var stories: ReferenceModel { get throws { try shared("stories260k") } }

  private static func shared(_ name: String) throws -> ReferenceModel {
    ReferenceModel(folder: try #require(Repository.sharedModels).appending(path: name))
  }

  /// - Parameter file: a tensor file of the folder; nil for the folder itself.
  func load(_ file: String? = nil) throws -> LoadedModel {
    try ModelLoader.load(
      path: file.map { folder.appending(path: $0).path } ?? folder.path)
  }

  func array(_ name: String) throws -> NPYArray {
    try NPY.readFloats(folder.appending(path: "reference/\(name)").path)
  }

  /// The token lists of `prompts.json`.
  func prompts() throws -> [[Int]] {
    let path = folder.appending(path: "reference/prompts.json").path
    guard case .array(let entries) = try JSON.read(path) else { return [] }
    return try entries.enumerated().map { index, entry in
      var reader = try JSONReader(entry, source: path, place: "[\(index)]")
      return try reader.integers("ids")
    }
  }
}

/// Largest absolute difference of two equally long lists.
func largestDifference(_ left: some Collection<Float>, _ right: some Collection<Float>) -> Float {
  #expect(left.count == right.count)
  return zip(left, right).reduce(0) { max($0, abs($1.0 - $1.1)) }
}
