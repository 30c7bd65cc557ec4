// Masks of permuted functions, permuted as party 0 does it, row by row.

import Bytes
import Program
import Randomness
import Sharing

extension GroupDealing {
  /// Deals delta = pi(a) - b and epsilon = pi^-1(r) - t of a permuted function: b and t are what party
  /// 1's streams of the two arrays give. With a factor s + r w stands for r, w party 0's pads, and two
  /// more arrays are dealt: see `PermutedFunction.Factor`.
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
      var result = session.streams[1].permutedResult(node: index).words(in: [elements])
      var factors = FactorWords()
      if function.factor != nil {
        factors = FactorWords(index, session.streams, elements)
        for place in result.indices {
          result[place] = result[place] &* factors.pads[place] &+ factors.products[place]
        }
      }
      let masks = factors.masks
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
          if function.factor != nil { factors.masks[first + place] = masks[first + Int(element)] }
        }
      }
      var arrays = [permuted, unpermuted]
      if let factor = function.factor {
        let dealt = result.indices.map {
          factor.dealt(
            mask: factors.masks[$0], pad: factors.pads[$0],
            differencePad: factors.differencePads[$0], choice: factors.choices[$0])
        }
        arrays += [dealt.map(\.word), dealt.map(\.topBit)]
      }
      return shares(index, components, arrays, session, at: start)
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

/// What both parties' streams give for the factors of a permuted function: masks in the order of the
/// elements, and all else in permuted order.
private struct FactorWords {
  var masks: [UInt64] = []
  var pads: [UInt64] = []
  var differencePads: [UInt64] = []
  var products: [UInt64] = []
  var choices: [UInt64] = []

  init() {}

  init(_ node: Int, _ streams: [SessionStreams], _ elements: Range<Int>) {
    masks = streams[1].permutedOperand(node: node, ofFactor: true).words(in: [elements])
    pads = streams[0].permutedFactor(node: node).words(in: [elements])
    differencePads = streams[0].permutedFactor(node: node, ofDifferences: true)
      .words(in: [elements])
    products = streams[1].permutedResult(node: node, ofFactor: true).words(in: [elements])
    choices = streams[1].correlation(node: node, component: PermutedFunction.choiceComponent)
      .words(in: [elements])
  }
}
