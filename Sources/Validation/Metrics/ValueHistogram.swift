// Where the inputs of a function lie: equal bins over a range, evenly or by logarithm.

import Foundation

/// Counts of values in equal bins of `range`, with what lies below and above it.
public struct ValueHistogram: Equatable, Sendable {
  public let range: ClosedRange<Double>
  /// Whether bins have equal ratios; the range is positive then.
  public let isLogarithmic: Bool
  public private(set) var counts: [Int]
  public private(set) var belowCount = 0
  public private(set) var aboveCount = 0
  /// Smallest and largest value, in the range or not; nil before the first.
  public private(set) var seen: ClosedRange<Double>?

  public init(range: ClosedRange<Double>, binCount: Int = 128, isLogarithmic: Bool = false) {
    precondition(binCount > 0 && range.lowerBound < range.upperBound)
    precondition(!isLogarithmic || range.lowerBound > 0, "logarithms are of positive values")
    self.range = range
    self.isLogarithmic = isLogarithmic
    counts = [Int](repeating: 0, count: binCount)
  }

  public var total: Int { counts.reduce(belowCount + aboveCount, +) }

  /// Borders of the bins, one more than there are bins.
  public var borders: [Double] {
    (0...counts.count).map { index in
      let part = Double(index) / Double(counts.count)
      return isLogarithmic
        ? range.lowerBound * pow(range.upperBound / range.lowerBound, part)
        : range.lowerBound + (range.upperBound - range.lowerBound) * part
    }
  }

  /// Counts `value`; one that is not a number counts as above.
  public mutating func add(_ value: Double) {
    guard value.isFinite else {
      if value == -.infinity { belowCount += 1 } else { aboveCount += 1 }
      return
    }
    if let old = seen {
      if value < old.lowerBound {
        seen = value...old.upperBound
      } else if value > old.upperBound {
        seen = old.lowerBound...value
      }
    } else {
      seen = value...value
    }
    if value < range.lowerBound {
      belowCount += 1
    } else if value > range.upperBound {
      aboveCount += 1
    } else {
      let part =
        isLogarithmic
        ? log(value / range.lowerBound) / log(range.upperBound / range.lowerBound)
        : (value - range.lowerBound) / (range.upperBound - range.lowerBound)
      counts[min(Int(part * Double(counts.count)), counts.count - 1)] += 1
    }
  }

  /// Adds the counts of a histogram of the same bins.
  public mutating func add(_ other: ValueHistogram) {
    precondition(other.range == range && other.counts.count == counts.count)
    for index in counts.indices { counts[index] += other.counts[index] }
    belowCount += other.belowCount
    aboveCount += other.aboveCount
    if let theirs = other.seen {
      let ours = seen ?? theirs
      seen =
        min(ours.lowerBound, theirs.lowerBound)...max(ours.upperBound, theirs.upperBound)
    }
  }
}
