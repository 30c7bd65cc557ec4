// The token that a conversion's texts began with, where the tokenizer adds none.

public import Bytes

/// `lodge.json` beside a tokenizer: `{"start": ID}`.
public enum StartToken {
  static let fileName = "lodge.json"

  /// Notes `start` in `folder`.
  public static func write(_ start: Int, to folder: String) throws(InputError) {
    let json = JSON.object(["start": .integer(start)])
    try AtomicFile.write(Array((json.indentedText + "\n").utf8), to: "\(folder)/\(fileName)")
  }

  /// The token that stands in `folder`; nil where there is none.
  public static func read(folder: String) throws(InputError) -> Int? {
    let path = "\(folder)/\(fileName)"
    guard FilePaths.exists(path) else { return nil }
    var reader = try JSONReader(JSON.read(path), source: path)
    let start = try reader.integer("start")
    try reader.finish()
    guard start >= 0 else { throw reader.failure("start", "is no token") }
    return start
  }
}
