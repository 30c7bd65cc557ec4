// What a manifest says of one file.

import Bytes
public import Containers

/// A file's bytes as they are, and the container in it.
public struct FileEntry: Equatable, Sendable {
  /// Root digest of the container.
  public var digest: [UInt8]
  /// Length and SHA-256 of the file.
  public var file: FileDigest

  public init(digest: [UInt8], file: FileDigest) {
    self.digest = digest
    self.file = file
  }

  var json: JSON {
    [
      "digest": .string(digest.hexadecimal), "sha256": .string(file.sha256.hexadecimal),
      "bytes": .integer(file.byteCount),
    ]
  }

  init(_ reader: inout JSONReader) throws(InputError) {
    digest = try reader.hexadecimal("digest", byteCount: 32)
    file = FileDigest(
      sha256: try reader.hexadecimal("sha256", byteCount: 32),
      byteCount: try reader.integer("bytes"))
    try reader.finish()
  }

  /// The object `files` of a manifest.
  static func list(_ reader: inout JSONReader) throws(InputError) -> [String: FileEntry] {
    let place = reader.path("files")
    guard case .object(let members) = try reader.value("files") else {
      throw reader.failure("files", "expected an object")
    }
    var result: [String: FileEntry] = [:]
    for (name, value) in members {
      // A manifest must not point out of its folder.
      guard FilePaths.lastComponent(of: name) == name, !name.hasPrefix("."), !name.isEmpty else {
        throw reader.failure("files", "\"\(name)\" is not the name of a file beside it")
      }
      var entry = try JSONReader(value, source: reader.source, place: "\(place).\(name)")
      result[name] = try FileEntry(&entry)
    }
    return result
  }

  static func json(_ list: [String: FileEntry]) -> JSON { .object(list.mapValues(\.json)) }
}
