// Narrow values that are read with wide ones, part by part.

import Program

/// Which elements of a narrow value serve elements of a wide one (see `Operation.combine`).
struct BroadcastLayout {
  /// The first element of every row, and the end; nil where the shapes are the same.
  private let offsets: (narrow: [Int], wide: [Int])?

  init(_ session: SessionShape, _ narrow: ValueShape, to wide: ValueShape) {
    if narrow == wide {
      offsets = nil
    } else if wide.columns.runningBlocks != nil {
      // Blocks of a pool belong to no row.
      offsets = (narrow: [0, session.dealtCount(narrow)], wide: [0, session.dealtCount(wide)])
    } else {
      offsets = (narrow: session.dealtRowOffsets(narrow), wide: session.dealtRowOffsets(wide))
    }
  }

  /// The narrow elements that serve the wide elements `range`, which is not empty.
  func narrowRange(_ range: Range<Int>) -> Range<Int> {
    guard let offsets else { return range }
    let first = row(of: range.lowerBound, offsets.wide)
    let last = row(of: range.upperBound - 1, offsets.wide)
    let end = narrow(range.upperBound - 1, last, offsets) + 1
    return narrow(range.lowerBound, first, offsets)..<end
  }

  /// The wide elements `range` from the narrow ones that serve them.
  func repeated(_ words: [UInt64], _ range: Range<Int>) -> [UInt64] {
    guard let offsets else { return words }
    let start = narrowRange(range).lowerBound
    var row = row(of: range.lowerBound, offsets.wide)
    var result: [UInt64] = []
    result.reserveCapacity(range.count)
    while result.count < range.count {
      let rowEnd = min(offsets.wide[row + 1], range.upperBound)
      let run =
        (offsets.wide[row + 1] - offsets.wide[row])
        / max(1, offsets.narrow[row + 1] - offsets.narrow[row])
      var element = range.lowerBound + result.count
      while element < rowEnd {
        let place = (element - offsets.wide[row]) / run
        let end = min(offsets.wide[row] + (place + 1) * run, rowEnd)
        result.append(
          contentsOf: repeatElement(
            words[offsets.narrow[row] + place - start], count: end - element))
        element = end
      }
      row += 1
    }
    return result
  }

  private func narrow(_ element: Int, _ row: Int, _ offsets: (narrow: [Int], wide: [Int])) -> Int {
    let run =
      (offsets.wide[row + 1] - offsets.wide[row])
      / (offsets.narrow[row + 1] - offsets.narrow[row])
    return offsets.narrow[row] + (element - offsets.wide[row]) / run
  }

  /// The row that holds `element`: the last that begins at or before it.
  private func row(of element: Int, _ offsets: [Int]) -> Int {
    var (low, high) = (0, offsets.count - 1)
    while high - low > 1 {
      let middle = (low + high) / 2
      if offsets[middle] <= element { low = middle } else { high = middle }
    }
    return low
  }
}
