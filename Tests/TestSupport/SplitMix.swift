// A small deterministic generator (SplitMix64) for tests.

public struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  public init(_ seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var x = state
    x = (x ^ (x >> 30)) &* 0xbf58_476d_1ce4_e5b9
    x = (x ^ (x >> 27)) &* 0x94d0_49bb_1331_11eb
    return x ^ (x >> 31)
  }

  /// `count` words; about one in eight is 0, 1, -1 or the smallest integer.
  public mutating func words(_ count: Int) -> [UInt64] {
    (0..<count).map { _ in
      let edges: [UInt64] = [0, 1, .max, 1 << 63]
      let word = next()
      return word % 8 == 0 ? edges[Int(word >> 8 & 3)] : word
    }
  }
}
