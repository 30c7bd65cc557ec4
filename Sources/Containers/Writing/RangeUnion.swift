// Which elements of a dataset have been written, as a union of ranges.

/// A set of non-negative integers made of few ranges; neighbours are merged.
struct RangeUnion: Sendable {
  /// Ascending, not empty, and with a gap between any two.
  private(set) var ranges: [Range<Int>] = []

  /// Adds all integers of `range`; O(log n) to find the place among n ranges.
  mutating func insert(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    // The ranges that touch the new one are `first..<last`.
    let first = firstIndex { $0.upperBound >= range.lowerBound }
    let last = firstIndex { $0.lowerBound > range.upperBound }
    var merged = range
    if first < last {
      let lower = min(range.lowerBound, ranges[first].lowerBound)
      merged = lower..<max(range.upperBound, ranges[last - 1].upperBound)
    }
    ranges.replaceSubrange(first..<last, with: CollectionOfOne(merged))
  }

  /// How many integers there are.
  var count: Int { ranges.reduce(0) { $0 + $1.count } }

  /// First index whose range satisfies `isBehind`, which is false and then true along the list.
  private func firstIndex(where isBehind: (Range<Int>) -> Bool) -> Int {
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if isBehind(ranges[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
