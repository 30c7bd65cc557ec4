// How many bits the values in the ring take: how near they come to an overflow.

/// Counts of ring elements by the bits of their magnitude.
public struct BitWidthHistogram: Equatable, Sendable {
  /// Values must stay below 2^62: a truncation adds 2^62 and looks at the top bit.
  public static let limit = 62

  /// Entry b: elements with 2^(b-1) <= |x| < 2^b; entry 0: zeros.
  public private(set) var counts = [Int](repeating: 0, count: 65)

  public init() {}

  /// Bits of the largest magnitude; 0 where all elements are zero.
  public var largest: Int { counts.lastIndex { $0 > 0 } ?? 0 }

  /// Bits that were never used below the limit; negative where a value was too large.
  public var headroom: Int { BitWidthHistogram.limit - largest }

  /// Adds two's complement ring elements, which in a ring of fewer than 64 bits count as wide as
  /// they are beside its size.
  mutating func add(_ words: [UInt64], ringBits: Int = 64) {
    for word in words {
      let width = 64 - Int64(bitPattern: word).magnitude.leadingZeroBitCount
      counts[width == 0 ? 0 : min(width + 64 - ringBits, 64)] += 1
    }
  }

  mutating func add(_ other: BitWidthHistogram) {
    for index in counts.indices { counts[index] += other.counts[index] }
  }
}
