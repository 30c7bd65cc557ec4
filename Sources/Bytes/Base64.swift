// Base64 of RFC 4648, into arrays that can be wiped.

/// The standard alphabet with padding, read strictly.
public enum Base64 {
  private static let digits = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  /// The text of `bytes`, as ASCII, in one line.
  public static func encode(_ bytes: [UInt8]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let count = min(3, bytes.count - start)
      var group = 0
      for place in 0..<3 {
        group = group << 8 | (place < count ? Int(bytes[start + place]) : 0)
      }
      for place in 0..<4 {
        text.append(
          place <= count ? digits[group >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
      }
    }
    return text
  }

  /// The text of `bytes`.
  public static func text(_ bytes: [UInt8]) -> String {
    String(decoding: encode(bytes), as: UTF8.self)
  }

  /// The bytes of `text`; nil where it holds another character, has wrong or missing padding, or
  /// sets bits that stand for nothing.
  public static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
    guard text.count.isMultiple(of: 4) else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3)
    var group = 0
    var digitCount = 0
    var paddingCount = 0
    for character in text {
      if character == UInt8(ascii: "=") {
        paddingCount += 1
        group <<= 6
      } else {
        guard paddingCount == 0, let digit = digits.firstIndex(of: character) else { return nil }
        group = group << 6 | digit
      }
      digitCount += 1
      guard digitCount.isMultiple(of: 4) else { continue }
      for place in 0..<3 - min(paddingCount, 3) {
        bytes.append(UInt8(truncatingIfNeeded: group >> (16 - 8 * place)))
      }
      let unused = paddingCount == 1 ? 0xff : paddingCount == 2 ? 0xffff : 0
      guard paddingCount <= 2, group & unused == 0 else { return nil }
      if paddingCount > 0, digitCount != text.count { return nil }
      group = 0
    }
    return bytes
  }
}
