// What a manifest says of one file.

import Bytes
public import Containers

/// A file's bytes as they are, and the container in it.
public struct FileEntry: Equatable, Sendable {
  /// Root digest of the container.
  public var digest: [UInt8]
  /// Length and SHA-256 of the file.
  public var file: FileDigest
  /// The same of the sealed file, for those who cannot open it; nil where it was not sealed.
  public var sealed: FileDigest?

  public init(digest: [UInt8], file: FileDigest, sealed: FileDigest? = nil) {
    self.digest = digest
    self.file = file
    self.sealed = sealed
  }

  var json: JSON {
    var members = FileEntry.members(file)
    members["digest"] = .string(digest.hexadecimal)
    if let sealed { members["sealed"] = .object(FileEntry.members(sealed)) }
    return .object(members)
  }

  private static func members(_ file: FileDigest) -> [String: JSON] {
    ["sha256": .string(file.sha256.hexadecimal), "bytes": .integer(file.byteCount)]
  }

  init(_ reader: inout JSONReader) throws(InputError) {
    digest = try reader.hexadecimal("digest", byteCount: 32)
    file = try FileEntry.digest(&reader)
    if let value = reader.optional("sealed") {
      var inner = try JSONReader(value, source: reader.source, place: reader.path("sealed"))
      sealed = try FileEntry.digest(&inner)
      try inner.finish()
    }
    try reader.finish()
  }

  private static func digest(_ reader: inout JSONReader) throws(InputError) -> FileDigest {
    FileDigest(
      sha256: try reader.hexadecimal("sha256", byteCount: 32),
      byteCount: try reader.integer("bytes"))
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
