// One party's side of a permuted function, between the three messages that it takes.

import Bytes
import Program
import Randomness
import Sharing

/// What an operation keeps between rounds in which it sends or receives something.
protocol PendingExchange {
  /// The words to send in this round.
  mutating func outgoing() -> [UInt64]
  /// Words that the other party sends in this round.
  var incomingCount: Int { get }
  /// Takes the other party's words of this round.
  ///
  /// - Returns: after the last round this party's shares of each output.
  mutating func receive(_ incoming: [UInt64], constantFactor: UInt64) -> [[UInt64]]?
  /// What an observer is told of the round that was received last.
  var observed: [UInt64]? { get }
}

/// Party 0 permutes, party 1 computes: see `PermutedFunction`.
struct PendingPermutation: PendingExchange {
  /// What this party has of the dealer, an element a word.
  enum Material {
    /// A permutation for every range, and the dealt corrections.
    case permuting(orders: [[UInt32]], delta: [UInt64], epsilon: [UInt64])
    /// The masks of operand and result, that of the operand with this party's share of it permuted.
    case computing(a: [UInt64], b: [UInt64], r: [UInt64])
  }

  private let function: PermutedFunction
  private let material: Material
  private let ranges: [PermutedRange]
  /// Fractional bits of the numbers that party 1 sees.
  private let inputBits: Int
  /// Elements of the value; after them come those of rows that the text does not have.
  private let count: Int
  /// Party 0: the shortened share, then with party 1's words x - a. Party 1: the share less a, then
  /// the results less r.
  private var words: [UInt64]
  private var round = 0
  private(set) var observed: [UInt64]?

  /// `share` is this party's shortened share, without any mask, of `count` elements and of others that
  /// travel with them.
  init(
    _ function: PermutedFunction, share: [UInt64], count: Int, ranges: [PermutedRange],
    inputBits: Int, material: Material
  ) {
    self.count = count
    self.function = function
    self.material = material
    self.ranges = ranges
    self.inputBits = inputBits
    words = share
    if case .computing(let a, _, _) = material { subtract(a, bits: function.opening.bits) }
  }

  private var party: Int {
    switch material {
    case .permuting: 0
    case .computing: 1
    }
  }

  var incomingCount: Int {
    function.wordCount(party: 1 - party, round: round, elements: words.count)
  }

  mutating func outgoing() -> [UInt64] {
    let message = function.messages[round]
    guard message.sender == party else { return [] }
    var outgoing: [UInt64] = []
    if case .permuting(let orders, let delta, _) = material {
      var permuted = [UInt64](repeating: 0, count: words.count)
      for (range, order) in zip(ranges, orders) {
        let first = range.elements.lowerBound
        for (place, element) in order.enumerated() {
          permuted[first + place] = words[first + Int(element)] &+ delta[first + place]
        }
      }
      reduce(&permuted, bits: message.bits)
      Opening(shift: 0, bits: message.bits).pack(permuted, into: &outgoing)
    } else {
      Opening(shift: 0, bits: message.bits).pack(words, into: &outgoing)
    }
    return outgoing
  }

  mutating func receive(_ incoming: [UInt64], constantFactor: UInt64) -> [[UInt64]]? {
    defer { round += 1 }
    let message = function.messages[round]
    observed = nil
    switch material {
    case .permuting(let orders, _, let epsilon):
      guard message.sender == 1 else { return nil }
      if round == 0 {
        Opening(shift: 0, bits: message.bits).add(incoming[...], to: &words)
        observed = words
        return nil
      }
      var permuted = [UInt64](repeating: 0, count: words.count)
      Opening(shift: 0, bits: message.bits).add(incoming[...], to: &permuted)
      var result = epsilon
      for (range, order) in zip(ranges, orders) {
        let first = range.elements.lowerBound
        for (place, element) in order.enumerated() {
          result[first + Int(element)] &+= permuted[first + place]
        }
      }
      return [Array(result.prefix(count))]
    case .computing(_, let b, let r):
      // Its share of the result is known before.
      guard message.sender == 0 else { return round == 2 ? [] : nil }
      var seen = b
      reduce(&seen, bits: message.bits)
      Opening(shift: 0, bits: message.bits).add(incoming[...], to: &seen)
      words = function.results(seen, in: ranges, inputBits: inputBits)
      subtract(r, bits: function.resultBits)
      return nil
    }
  }

  private mutating func subtract(_ mask: [UInt64], bits: Int) {
    for index in words.indices { words[index] &-= mask[index] }
    reduce(&words, bits: bits)
  }

  private func reduce(_ words: inout [UInt64], bits: Int) {
    let opening = Opening(shift: 0, bits: bits)
    for index in words.indices { words[index] = opening.reduced(words[index]) }
  }
}

extension PartyInterpreter {
  /// Begins the permuted function of node `node` with this party's share of x. Party 1's share of the
  /// result is dealt; its first message may be here before this.
  mutating func beginPermutation(
    _ node: Int, _ function: PermutedFunction, _ x: ValueID, _ step: SessionStep
  ) throws(InputError) {
    let value = program.values[x]
    let share = shared[x]
    let shortened = function.opening.masked(
      share, ringBits: value.ringBits, mask: [UInt64](repeating: 0, count: share.count),
      constantFactor: constantFactor)
    let completed = step.completed(
      shortened, value.shape, function, absent: constantFactor == 1 ? function.absent : 0)
    let ranges = step.permutedRanges(value.shape, function)
    // Of a whole text all that is dealt.
    let elements =
      completed.count > share.count
      ? [0..<completed.count] : self.ranges[derived[node].components[0].shape]
    let dealt = try (0...1).map { component throws(InputError) in
      try words(node: node, component: component, ranges: elements)
    }
    let material: PendingPermutation.Material
    if let masks = derived[node].permuted {
      material = .computing(
        a: masks.operand.words(in: elements), b: dealt[0],
        r: masks.result.words(in: elements))
      shared[program.nodes[node].outputs.lowerBound] = Array(dealt[1].prefix(share.count))
    } else {
      material = .permuting(
        orders: orders(node, ranges), delta: dealt[0], epsilon: dealt[1])
    }
    pending[node] = PendingPermutation(
      function, share: completed, count: share.count, ranges: ranges,
      inputBits: program.permutedBits(x, function), material: material)
    if let words = early.removeValue(forKey: node) { advance(node, words[...]) }
  }

  /// Party 0's permutations of `ranges`, which are whole rows.
  private func orders(_ node: Int, _ ranges: [PermutedRange]) -> [[UInt32]] {
    var row: Int?
    var sampler: PermutationSampler?
    var orders: [[UInt32]] = []
    orders.reserveCapacity(ranges.count)
    for range in ranges {
      if row != range.row {
        row = range.row
        sampler = PermutationSampler(material.streams.permutation(node: node, row: range.row))
      }
      orders.append(sampler?.permutation(count: range.elements.count) ?? [])
    }
    return orders
  }
}
