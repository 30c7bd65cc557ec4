// Texts from files and from standard input.

public import Bytes
import Foundation

/// Reads texts that people wrote.
public enum TextFile {
  public static let maximumByteCount = 256 << 20

  /// The texts of the file at `path`, or of standard input for "-": one a line, blank lines left out;
  /// the whole file; or the strings of a JSON array where the name ends in `.json`.
  public static func read(_ path: String, isWhole: Bool) throws(InputError) -> [String] {
    if path.hasSuffix(".json") {
      guard case .array(let elements) = try JSON.read(path, atMost: maximumByteCount) else {
        throw InputError(path, "expected a JSON array of texts")
      }
      var texts: [String] = []
      for (index, element) in elements.enumerated() {
        guard case .string(let text) = element else {
          throw InputError(path, place: "[\(index)]", "expected a text")
        }
        texts.append(text)
      }
      guard !texts.isEmpty else { throw InputError(path, "holds no texts") }
      return texts
    }
    let name = path == "-" ? "standard input" : path
    let bytes = path == "-" ? try standardInput() : try contents(path)
    guard var text = String(validating: bytes, as: UTF8.self) else {
      throw InputError(name, "is not valid UTF-8")
    }
    if isWhole {
      // The end of the last line is not part of what it says.
      if text.utf8.last == UInt8(ascii: "\n") { text.unicodeScalars.removeLast() }
      guard !text.isEmpty else { throw InputError(name, "holds no text") }
      return [text]
    }
    let lines = text.unicodeScalars.split { $0 == "\n" || $0 == "\r" }.map { String($0) }
      .filter { !$0.allSatisfy(\.isWhitespace) }
    guard !lines.isEmpty else { throw InputError(name, "holds no text") }
    return lines
  }

  private static func contents(_ path: String) throws(InputError) -> [UInt8] {
    try MappedFile(path: path).allBytes(atMost: maximumByteCount)
  }

  private static func standardInput() throws(InputError) -> [UInt8] {
    do {
      let data = try FileHandle.standardInput.read(upToCount: maximumByteCount + 1) ?? Data()
      guard data.count <= maximumByteCount else {
        throw InputError("standard input", "has more than \(maximumByteCount) bytes")
      }
      return Array(data)
    } catch let error as InputError {
      throw error
    } catch {
      throw InputError("standard input", "cannot be read")
    }
  }
}
