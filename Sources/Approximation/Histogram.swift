// Counts of values in bins that do not depend on the data, so that counts of any texts add up.

/// How often values of each size and sign were seen.
///
/// Every octave from 2^-24 to 2^40 has 16 bins of equal width for either sign; what is closer to 0
/// has a bin of its own, and what is larger counts in the outermost bins.
public struct Histogram: Equatable, Sendable {
  private static let binsPerOctave = 16
  private static let smallestExponent = -24
  private static let octaveCount = 64
  /// Bins of one sign.
  private static let sideCount = octaveCount * binsPerOctave
  public static let binCount = 2 * sideCount + 1

  /// Borders of the bins, ascending, one more than bins.
  public static let edges: [Double] = {
    let positive = (0...sideCount).map { index in
      let octave = Double(
        sign: .plus, exponent: smallestExponent + index / binsPerOctave, significand: 1)
      return octave * (1 + Double(index % binsPerOctave) / Double(binsPerOctave))
    }
    return positive.reversed().map { -$0 } + positive
  }()

  /// `binCount` of them.
  public private(set) var counts: [UInt64]
  /// Values that are exactly 0; they are counted in the middle bin as well.
  public private(set) var zeroCount: UInt64

  public init() {
    counts = [UInt64](repeating: 0, count: Histogram.binCount)
    zeroCount = 0
  }

  /// Counts from a file; nil unless there are `binCount` of them and the zeros are no more than the
  /// middle bin has.
  public init?(counts: [UInt64], zeroCount: UInt64) {
    guard counts.count == Histogram.binCount, zeroCount <= counts[Histogram.sideCount],
      counts.reduce(
        into: (sum: UInt64(0), isExact: true),
        { state, count in
          let (sum, overflow) = state.sum.addingReportingOverflow(count)
          state = (sum, state.isExact && !overflow)
        }
      ).isExact
    else { return nil }
    self.counts = counts
    self.zeroCount = zeroCount
  }

  /// All values.
  public var count: UInt64 { counts.reduce(0, +) }

  /// Counts finite values.
  public mutating func add(_ values: [Float]) {
    let firstCode = (127 + Histogram.smallestExponent) * Histogram.binsPerOctave
    var zeros: UInt64 = 0
    for value in values {
      // Exponent and the four highest bits of the fraction number the bins of one sign.
      let code = Int(value.bitPattern & 0x7fff_ffff) >> 19 - firstCode
      let place = min(code, Histogram.sideCount - 1) + 1
      if code < 0 {
        counts[Histogram.sideCount] += 1
        if value == 0 { zeros += 1 }
      } else {
        counts[value < 0 ? Histogram.sideCount - place : Histogram.sideCount + place] += 1
      }
    }
    zeroCount += zeros
  }

  /// Adds the counts of other values.
  public mutating func merge(_ other: Histogram) {
    for bin in counts.indices { counts[bin] += other.counts[bin] }
    zeroCount += other.zeroCount
  }

  /// The value below which a share of `share` in 0...1 lies, spread evenly inside its bin and kept
  /// within `range`, the smallest and largest value seen; 0 where nothing was counted.
  public func quantile(_ share: Double, within range: ClosedRange<Double>) -> Double {
    let wanted = share * Double(count)
    var passed = 0.0
    for (bin, count) in counts.enumerated() where count > 0 {
      if passed + Double(count) >= wanted {
        let fraction = (wanted - passed) / Double(count)
        let (low, high) = (Histogram.edges[bin], Histogram.edges[bin + 1])
        return min(max(low + fraction * (high - low), range.lowerBound), range.upperBound)
      }
      passed += Double(count)
    }
    return min(max(0, range.lowerBound), range.upperBound)
  }
}
