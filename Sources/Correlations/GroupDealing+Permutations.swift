// Masks of permuted functions, permuted as party 0 does it, row by row.

import Bytes
import Program
import Randomness
import Sharing

extension GroupDealing {
  /// Deals delta = pi(a) - b and epsilon = pi^-1(r) - t of a permuted function: b and t are what party
  /// 1's streams of the two arrays give.
  func dealPermuted(_ index: Int, _ x: ValueID, _ function: PermutedFunction) throws(InputError) {
    let components = program.correlationComponents(index)
    let ranges = SessionStep.dealing(shape).permutedRanges(shapeOf(x), function)
    let parts = rowParts(ranges)
    try OrderedChunks.run(lanes: sessions.count, chunks: parts.count) {
      (lane, part) throws(InputError) -> [[UInt64]] in
      let session = sessions[lane]
      let ranges = ranges[parts[part]]
      let start = ranges.first?.elements.lowerBound ?? 0
      let elements = start..<(ranges.last?.elements.upperBound ?? start)
      let operand = session.streams[1].permutedOperand(node: index).words(in: [elements])
      let result = session.streams[1].permutedResult(node: index).words(in: [elements])
      var (permuted, unpermuted) = (operand, result)
      var sampler: (row: Int, sampler: PermutationSampler)?
      for range in ranges {
        if sampler?.row != range.row {
          sampler = (
            range.row,
            PermutationSampler(session.streams[0].permutation(node: index, row: range.row))
          )
        }
        let first = range.elements.lowerBound - start
        let order = sampler?.sampler.permutation(count: range.elements.count) ?? []
        for (place, element) in order.enumerated() {
          permuted[first + place] = operand[first + Int(element)]
          unpermuted[first + Int(element)] = result[first + place]
        }
      }
      return shares(index, components, [permuted, unpermuted], session, at: start)
    } store: { (lane, part, shares) throws(InputError) in
      let start = ranges[parts[part].lowerBound].elements.lowerBound
      try store(shares, components, sessions[lane], node: index, at: start)
    }
  }

  /// `ranges` in parts of whole rows that a thread takes at a time.
  private func rowParts(_ ranges: [PermutedRange]) -> [Range<Int>] {
    var parts: [Range<Int>] = []
    var start = 0
    for index in ranges.indices {
      let isRowEnd = index + 1 == ranges.count || ranges[index + 1].row != ranges[index].row
      guard isRowEnd else { continue }
      let count = ranges[index].elements.upperBound - ranges[start].elements.lowerBound
      if index + 1 == ranges.count || 4 * count >= plan.elementWordCount {
        parts.append(start..<index + 1)
        start = index + 1
      }
    }
    return parts
  }
}
