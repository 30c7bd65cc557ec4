// Which dealt rows hold the text: all of them, unless drafts were rejected.

/// The slots of a text in the order of its positions: ascending ranges of dealt rows.
///
/// A row that is computed takes the next slot for good, whether its token is kept or not: what is dealt
/// for a slot serves one token. Positions count kept rows alone.
public struct TextSlots: Hashable, Sendable {
  /// Ascending, none empty, none touching the next.
  public private(set) var ranges: [Range<Int>]
  /// Kept rows: positions 0..<count have slots.
  public private(set) var count: Int

  /// The first `count` slots.
  public init(count: Int = 0) {
    self.count = count
    ranges = count == 0 ? [] : [0..<count]
  }

  /// Keeps the rows in `slots`, which come after all that are kept.
  public mutating func append(_ slots: Range<Int>) {
    guard !slots.isEmpty else { return }
    count += slots.count
    if let last = ranges.last, last.upperBound == slots.lowerBound {
      ranges[ranges.count - 1] = last.lowerBound..<slots.upperBound
    } else {
      ranges.append(slots)
    }
  }

  /// Whether every position is its own slot.
  public var isDense: Bool { ranges.count <= 1 && (ranges.first?.lowerBound ?? 0) == 0 }

  /// The slots of `positions`, in order.
  public func slots(of positions: Range<Int>) -> [Range<Int>] {
    if isDense { return positions.isEmpty ? [] : [positions] }
    var result: [Range<Int>] = []
    var first = 0
    for range in ranges {
      let (low, high) = (
        max(positions.lowerBound - first, 0), min(positions.upperBound - first, range.count)
      )
      if low < high { result.append(range.lowerBound + low..<range.lowerBound + high) }
      first += range.count
    }
    return result
  }

  /// The rows of `table`, [slots, width], that hold the text, in the order of its positions.
  public func rows(of table: [UInt64], width: Int) -> [UInt64] {
    if isDense { return table }
    var result: [UInt64] = []
    result.reserveCapacity(count * width)
    for range in ranges { result += table[range.lowerBound * width..<range.upperBound * width] }
    return result
  }
}
