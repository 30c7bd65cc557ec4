// Small random models of every family with the Hugging Face library's outputs: Tests/Vectors/families.

public import Bytes
public import Foundation

/// One model of `Tests/Vectors/families/index.json`; `tools/development/write-references` writes them.
public struct FamilyVector: Sendable, CustomStringConvertible {
  /// Its folder.
  public var name: String
  /// `model_type`.
  public var family: String
  /// What the rows of `outputs` are.
  public var head: String
  public var texts: [[Int]]

  public var description: String { name }
  public var folder: URL { FamilyVector.root.appending(path: name) }

  public func has(_ file: String) -> Bool {
    FileManager.default.fileExists(atPath: folder.appending(path: file).path)
  }

  /// The path of the vector `name` with a changed configuration in `folder`; nil removes a key.
  public static func changed(
    _ name: String, _ changes: [String: JSON?], in folder: ScratchFolder
  ) throws -> String {
    let source = root.appending(path: name)
    let path = source.appending(path: "config.json").path
    guard case .object(var members) = try JSON.read(path) else { throw InputError(path, "") }
    for (key, value) in changes { members[key] = value }
    _ = try folder.write(JSON.object(members).text.utf8, to: "config.json")
    let weights = try Data(contentsOf: source.appending(path: "model.safetensors"))
    _ = try folder.write(weights, to: "model.safetensors")
    return folder.path
  }

  public static let root = Repository.root.appending(path: "Tests/Vectors/families")

  /// All of them; empty where the index cannot be read, which a test tells.
  public static let all: [FamilyVector] = (try? read()) ?? []

  public static func read() throws -> [FamilyVector] {
    let path = root.appending(path: "index.json").path
    var index = try JSONReader(JSON.read(path), source: path)
    return try index.array("models").enumerated().map { number, value in
      var model = try JSONReader(value, source: path, place: "models[\(number)]")
      return FamilyVector(
        name: try model.string("name"), family: try model.string("family"),
        head: try model.string("head"),
        texts: try model.array("texts").map { text in
          guard case .array(let tokens) = text else { return [] }
          return tokens.compactMap { if case .integer(let token) = $0 { token } else { nil } }
        })
    }
  }

  /// Rows of all texts, one after another.
  public func outputs() throws -> NPYArray {
    try NPY.readFloats(folder.appending(path: "outputs.npy").path)
  }
}
