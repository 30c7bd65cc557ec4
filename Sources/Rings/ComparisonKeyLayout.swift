// The bytes of a comparison key.

/// What decides the bytes of a comparison key: f(x) = beta if x < alpha, else 0, for x and alpha of
/// `levels` bits and beta a vector of `payload` numbers modulo 2^(8 wordByteCount).
///
/// A key has ceil(d / 8) + 2^t v + d (16 + v) bytes with v = payload wordByteCount: its tree has
/// d = levels - t levels, and its last nodes a value for each of the 2^t points below.
public struct ComparisonKeyLayout: Hashable, Sendable {
  /// Bits of x and alpha that are compared, 1 to 63; higher bits are ignored.
  public let levels: Int
  /// Numbers in beta, 1 to 3.
  public let payload: Int
  /// Bytes of each of them, 1 to 8.
  public let wordByteCount: Int
  /// t: of 0 to min(levels - 1, 6) that with which a key has the fewest bytes, the largest of such.
  public let tailBits: Int

  public init(levels: Int, payload: Int, wordByteCount: Int = 8) {
    precondition((1...63).contains(levels), "1 to 63 levels")
    precondition((1...3).contains(payload), "a payload of 1 to 3 ring elements")
    precondition((1...8).contains(wordByteCount), "1 to 8 bytes a ring element")
    self.levels = levels
    self.payload = payload
    self.wordByteCount = wordByteCount
    func byteCount(_ tailBits: Int) -> Int {
      ComparisonKeyLayout.byteCount(
        depth: levels - tailBits, tailBits: tailBits, valueByteCount: payload * wordByteCount)
    }
    tailBits = (0...min(levels - 1, 6)).reduce(0) { byteCount($1) <= byteCount($0) ? $1 : $0 }
  }

  /// Levels of the tree, each with a seed correction.
  public var depth: Int { levels - tailBits }

  public var byteCount: Int {
    ComparisonKeyLayout.byteCount(
      depth: depth, tailBits: tailBits, valueByteCount: payload * wordByteCount)
  }

  private static func byteCount(depth: Int, tailBits: Int, valueByteCount: Int) -> Int {
    (depth + 7) / 8 + valueByteCount << tailBits + depth * (16 + valueByteCount)
  }
}
