// Text as people have it: a file, or a folder of files.

public import Bytes
import Foundation

/// The documents that a model is calibrated and judged on.
public struct TextSource: Sendable {
  public let path: String
  /// One for each file, in the order of their paths; none is blank.
  public private(set) var documents: [String] = []
  /// Files of the folder that were not read, because they are not named as texts.
  public private(set) var skippedCount = 0

  private static let ending = ".txt"
  private static let maximumByteCount = 256 << 20

  /// - Throws: `InputError` for a path without text, and for a file that is not UTF-8.
  public init(path: String) throws(InputError) {
    self.path = path
    guard FilePaths.exists(path) else {
      throw InputError(path, "no such file or folder", hint: nearestPathHint(to: path))
    }
    var files = [path]
    if FilePaths.isFolder(path) {
      let below = (try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? []
      let all = below.sorted().map { "\(path)/\($0)" }.filter { !FilePaths.isFolder($0) }
      files = all.filter { $0.hasSuffix(TextSource.ending) }
      skippedCount = all.count - files.count
      guard !files.isEmpty else {
        throw InputError(
          path, "holds no file that ends in \(TextSource.ending)",
          hint: "put texts as users send them into such files")
      }
    }
    for file in files {
      let text = try TextSource.text(file)
      if text.contains(where: { !$0.isWhitespace }) { documents.append(text) }
    }
    guard !documents.isEmpty else {
      throw InputError(path, "holds no text", hint: "take text as users send it")
    }
  }

  private static func text(_ path: String) throws(InputError) -> String {
    if path.hasSuffix(".json") {
      throw InputError(
        path, "is JSON, plain text is expected",
        hint: "files of tokens go to `lodge-model approximate --tokens`")
    }
    let bytes = try MappedFile(path: path).allBytes(atMost: maximumByteCount)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw InputError(path, "is not UTF-8 text", hint: "convert it with iconv, or name text files")
    }
    return text.hasPrefix("\u{feff}") ? String(text.dropFirst()) : text
  }

  /// The lines of all documents that are not blank: texts of an encoder.
  public var lines: [String] {
    documents.flatMap { $0.split(whereSeparator: \.isNewline).map(String.init) }
      .filter { $0.contains { !$0.isWhitespace } }
  }
}
