// A test of uniformity that fails with probability below one in a million for uniform bytes.

/// Chi-square statistic of byte frequencies.
public enum Uniformity {
  /// 255 degrees of freedom: a uniform source stays below this with probability 1 - 1e-7.
  public static let limit = 385.0

  public static func chiSquare(_ bytes: some Sequence<UInt8>) -> Double {
    var counts = [Double](repeating: 0, count: 256)
    var total = 0.0
    for byte in bytes {
      counts[Int(byte)] += 1
      total += 1
    }
    let expected = total / 256
    return counts.reduce(0) { $0 + ($1 - expected) * ($1 - expected) / expected }
  }

  /// The statistic of each of the eight byte positions of `words`, the largest of them.
  public static func chiSquare(words: [UInt64]) -> Double {
    (0..<8).map { position in
      chiSquare(words.map { UInt8(truncatingIfNeeded: $0 >> UInt64(8 * position)) })
    }.max() ?? 0
  }
}
