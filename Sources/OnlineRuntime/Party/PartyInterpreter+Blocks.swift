// Revealed bits, and openings of the blocks that they switch on.

import Bytes
import Program
import Rings
import Sharing

extension PartyInterpreter {
  /// What this party sends of node `index`, where it reveals bits or opens running blocks.
  func blockShare(_ index: Int, _ step: SessionStep, into outgoing: inout [UInt64])
    -> PendingOpening?
  {
    switch program.nodes[index].operation {
    case .reveal(let x, _):
      let words = shared[x].map { $0 & 1 }
      Opening.bit.pack(words, into: &outgoing)
      return PendingOpening(words: words, mask: [])
    case .openBlocks(let x, let opening):
      guard let masks = derived[index].blockMasks else { return nil }
      let pattern = step.pattern(masks.columns)
      let first = step.dealtRow(program.values[x].shape.rows, 0)
      let all = masks.words(rows: first..<first + pattern.rows.count)
      let words = opening.masked(
        shared[x], ringBits: program.values[x].ringBits,
        mask: step.gathered(all, program.values[x].shape), constantFactor: constantFactor)
      opening.pack(words, into: &outgoing)
      outgoing += masks.revealed(pattern, firstRow: first)
      return PendingOpening(words: words, mask: all)
    default: return nil
    }
  }

  /// Takes the other party's bits: which blocks run is now known to both.
  mutating func finishReveal(
    _ node: Int, _ own: PendingOpening, _ words: ArraySlice<UInt64>, _ step: inout SessionStep
  ) throws(InputError) {
    let gates = program.nodes[node].outputs.lowerBound
    var bits = own.words
    Opening.bit.add(words, to: &bits)
    for index in bits.indices { bits[index] &= 1 }
    observe?(node, bits)
    if assumesExpectedBlocks, let pattern = program.expectingBlocks(step).patterns[gates] {
      return try take(pattern, of: gates, &step)
    }
    let pattern = BlockPattern(
      bits: bits, count: program.values[gates].shape.width ?? 1, earlier: usedBlocks(gates))
    try take(pattern, of: gates, &step)
  }

  /// Takes the other party's words of running blocks and the masks of the others.
  mutating func finishBlocks(
    _ node: Int, _ own: PendingOpening, _ words: ArraySlice<UInt64>, _ step: SessionStep
  ) {
    guard case .openBlocks(let x, let opening) = program.nodes[node].operation,
      let masks = derived[node].blockMasks
    else { return }
    let shape = program.values[x].shape
    let pattern = step.pattern(masks.columns)
    var running = own.words
    let packedCount = opening.wordCount(elements: running.count)
    opening.add(words.prefix(packedCount), to: &running)
    var base = masks.words(
      revealed: words.dropFirst(packedCount), pattern, firstRow: step.dealtRow(shape.rows, 0))
    for index in base.indices { base[index] = opening.reduced(base[index] &+ own.mask[index]) }
    for (word, place) in zip(running, step.blockPlaces(shape)) { base[place] = word }
    observe?(node, base)
    masked[program.nodes[node].outputs.lowerBound] = MaskedWords(base: base, parts: [own.mask])
  }
}
