// Bits in words without gaps: what parties send of a circuit's values.

/// Collects groups of bits, the first from the lowest bit of the first word on.
public struct BitWriter: Sendable {
  public private(set) var words: [UInt64] = []
  private var bitCount = 0

  public init() {}

  /// Appends the lowest `count` bits of `bits`, at most 64.
  @inlinable
  public mutating func append(_ bits: UInt64, count: Int) {
    guard count > 0 else { return }
    add(bits & (UInt64.max &>> UInt64(64 - count)), count: count)
  }

  @usableFromInline
  mutating func add(_ bits: UInt64, count: Int) {
    let used = bitCount % 64
    if used == 0 {
      words.append(bits)
    } else {
      words[words.count - 1] |= bits &<< UInt64(used)
      if used + count > 64 { words.append(bits &>> UInt64(64 - used)) }
    }
    bitCount += count
  }
}

/// Takes groups of bits in the order in which a `BitWriter` got them.
public struct BitReader: Sendable {
  private let words: [UInt64]
  private var position = 0

  public init(_ words: [UInt64]) { self.words = words }

  /// The next `count` bits, at most 64, from bit 0 on.
  public mutating func next(_ count: Int) -> UInt64 {
    guard count > 0 else { return 0 }
    let used = position % 64
    var bits = words[position / 64] &>> UInt64(used)
    if used + count > 64 { bits |= words[position / 64 + 1] &<< UInt64(64 - used) }
    position += count
    return bits & (UInt64.max &>> UInt64(64 - count))
  }
}
