// The folder of an export: one folder a party, complete or not there.

public import Bytes
import Foundation

/// A new folder with `party0` and `party1`, which count when all of their files are there.
public struct ExportFolder: Sendable {
  public let path: String

  /// - Throws: `InputError` where `path` is there already and is not an empty folder.
  public init(_ path: String) throws(InputError) {
    self.path = FilePaths.withoutTrailingSlashes(path)
    guard !FilePaths.exists(path) || (FilePaths.isFolder(path) && Self.isEmpty(path)) else {
      throw InputError(
        path, "is there already", hint: "name a folder that can be made: nothing is replaced")
    }
  }

  private static func isEmpty(_ path: String) -> Bool {
    (try? Folder.names(in: path).isEmpty) ?? false
  }

  public func folder(ofParty party: Int) -> String { "\(path)/party\(party)" }

  /// The name of a file below a party's folder.
  typealias Name = (_ party: Int) -> String

  /// Runs `body`, which writes the files `names` of each party; nothing is left where it throws.
  func write(_ names: [Name], _ body: () throws(InputError) -> Void) throws(InputError) {
    let isNew = !FilePaths.exists(path)
    let files = (0...1).flatMap { party in names.map { "\(folder(ofParty: party))/\($0(party))" } }
    do throws(InputError) {
      for folder in Set(files.map { FilePaths.folder(of: $0) }) { try Folder.make(folder) }
      try UnfinishedFiles.whileWriting(files, body)
    } catch {
      for party in 0...1 {
        try? FileManager.default.removeItem(atPath: folder(ofParty: party))
      }
      if isNew { try? FileManager.default.removeItem(atPath: path) }
      throw error
    }
  }

  /// Writes a file of both parties side by side: `body` gets a function that appends bytes to each.
  func writePair(
    _ name: Name,
    _ body: (_ append: ([[UInt8]]) throws(InputError) -> Void) throws(InputError) -> Void
  ) throws(InputError) {
    let paths = (0...1).map { "\(folder(ofParty: $0))/\(name($0))" }
    try AtomicFile.write(to: paths[0]) { (first) throws(InputError) in
      try AtomicFile.write(to: paths[1]) { (second) throws(InputError) in
        try body { (pieces) throws(InputError) in
          try AtomicFile.append(pieces[0], to: first, path: paths[0])
          try AtomicFile.append(pieces[1], to: second, path: paths[1])
        }
      }
    }
  }

  /// Writes the same text for both parties.
  func writePair(_ name: String, _ json: JSON) throws(InputError) {
    let text = Array((json.indentedText + "\n").utf8)
    let file: Name = { _ in name }
    try writePair(file) { (append) throws(InputError) in try append([text, text]) }
  }
}

extension [UInt64] {
  /// The words' bytes, little-endian.
  var littleEndianBytes: [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }
}
