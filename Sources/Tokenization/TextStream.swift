// Text as it comes: what a new token adds, never half a character.

/// Decodes tokens one by one.
public struct TextStream {
  private let decode: ([Int]) -> String
  private var ids: [Int] = []
  private var shown: [UInt8] = []

  public init(_ tokenizer: Tokenizer) {
    decode = { tokenizer.decode($0) }
  }

  /// All text so far.
  public var text: String { decode(ids) }

  /// What `id` adds to what was given out before; empty while it ends within a character.
  public mutating func append(_ id: Int) -> String {
    ids.append(id)
    let bytes = Array(text.utf8)
    // A mark for bytes that are no character yet, or never will be.
    let mark: [UInt8] = [0xef, 0xbf, 0xbd]
    guard bytes.count > shown.count, Array(bytes.suffix(3)) != mark, bytes.starts(with: shown)
    else { return "" }
    defer { shown = bytes }
    return String(decoding: bytes[shown.count...], as: UTF8.self)
  }

  /// What is left when no token follows.
  public mutating func finish() -> String {
    let bytes = Array(text.utf8)
    guard bytes.starts(with: shown) else { return "" }
    defer { shown = bytes }
    return String(decoding: bytes[shown.count...], as: UTF8.self)
  }
}
