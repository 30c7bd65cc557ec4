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
  /// What party 1 saw in the round that was received last, with the function of it.
  var seen: (words: [UInt64], function: PermutedFunction)? { get }
}

extension PendingExchange {
  var seen: (words: [UInt64], function: PermutedFunction)? { nil }
}

/// Party 0 permutes, party 1 computes: see `PermutedFunction`.
struct PendingPermutation: PendingExchange {
  /// What this party has of the dealer, an element a word.
  enum Material {
    /// A permutation for every range, and the dealt corrections.
    case permuting(
      orders: [[UInt32]], delta: [UInt64], epsilon: [UInt64], factor: PermutingFactor?)
    /// The masks of operand and result, that of the operand with this party's share of it permuted.
    case computing(a: [UInt64], b: [UInt64], r: [UInt64], factor: ComputingFactor?)
  }

  /// What party 0 has for a factor.
  struct PermutingFactor {
    var factor: PermutedFunction.Factor
    var pads: [UInt64]
    var differencePads: [UInt64]
    var delta: [UInt64]
    var choices: [UInt64]
  }

  /// What party 1 has for a factor: its mask, this party's share of that in permuted order, and the mask
  /// of the product.
  struct ComputingFactor {
    var factor: PermutedFunction.Factor
    var mask: [UInt64]
    var permutedMask: [UInt64]
    var choices: [UInt64]
    var product: [UInt64]
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
  /// The same of the factor: at party 0 its share, then X. Party 1: the share under its mask, then the
  /// masked products.
  private var factors: [UInt64]
  private var round = 0
  private(set) var observed: [UInt64]?
  private(set) var seen: (words: [UInt64], function: PermutedFunction)?

  /// `share` and `factor` are this party's shortened shares, without any mask, of `count` elements and of
  /// others that travel with them.
  init(
    _ function: PermutedFunction, share: [UInt64], factor: [UInt64], count: Int,
    ranges: [PermutedRange], inputBits: Int, material: Material
  ) {
    self.count = count
    self.function = function
    self.material = material
    self.ranges = ranges
    self.inputBits = inputBits
    words = share
    factors = factor
    guard case .computing(let a, _, _, let factor) = material else { return }
    PendingPermutation.subtract(a, bits: function.opening.bits, from: &words)
    guard let factor else { return }
    for index in factors.indices { factors[index] &+= factor.mask[index] }
    PendingPermutation.reduce(&factors, bits: factor.factor.opening.bits)
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
    var parts: [[UInt64]]
    switch material {
    case .permuting(let orders, let delta, _, let factor):
      var permuted = delta
      add(words, orders, to: &permuted)
      parts = [permuted]
      if let factor { parts += answer(factor, orders) }
    case .computing(_, _, _, let factor): parts = factor == nil ? [words] : [words, factors]
    }
    var outgoing: [UInt64] = []
    for (index, bits) in message.bits.enumerated() {
      PendingPermutation.reduce(&parts[index], bits: bits)
      Opening(shift: 0, bits: bits).pack(parts[index], into: &outgoing)
    }
    return outgoing
  }

  mutating func receive(_ incoming: [UInt64], constantFactor: UInt64) -> [[UInt64]]? {
    defer { round += 1 }
    let message = function.messages[round]
    observed = nil
    self.seen = nil
    // Its share of the result is known before.
    guard message.sender == 1 - party else { return party == 1 && round == 2 ? [] : nil }
    var place = 0
    /// Adds the next part of the message to `words`.
    func add(_ bits: Int, to words: inout [UInt64]) {
      let opening = Opening(shift: 0, bits: bits)
      let end = place + opening.wordCount(elements: words.count)
      opening.add(incoming[place..<end], to: &words)
      place = end
    }
    switch material {
    case .permuting(let orders, _, let epsilon, let factor):
      if round == 0 {
        add(message.bits[0], to: &words)
        if factor != nil { add(message.bits[1], to: &factors) }
        observed = words + factors
        return nil
      }
      var permuted = [UInt64](repeating: 0, count: words.count)
      add(message.bits[0], to: &permuted)
      if let factor {
        for index in permuted.indices { permuted[index] &*= factor.pads[index] }
        var products = [UInt64](repeating: 0, count: words.count)
        add(message.bits[1], to: &products)
        for index in permuted.indices { permuted[index] &+= products[index] }
      }
      var result = epsilon
      for (range, order) in zip(ranges, orders) {
        let first = range.elements.lowerBound
        for (place, element) in order.enumerated() {
          result[first + Int(element)] &+= permuted[first + place]
        }
      }
      return [Array(result.prefix(count))]
    case .computing(_, let b, let r, let factor):
      var seen = b
      PendingPermutation.reduce(&seen, bits: message.bits[0])
      add(message.bits[0], to: &seen)
      self.seen = (seen, function)
      words = function.results(seen, in: ranges, inputBits: inputBits)
      if let factor {
        factors = factor.permutedMask
        PendingPermutation.reduce(&factors, bits: message.bits[1])
        add(message.bits[1], to: &factors)
        var differences = [UInt64](repeating: 0, count: words.count)
        add(message.bits[2], to: &differences)
        for index in factors.indices {
          let seen = factor.factor.seen(
            factors[index], difference: differences[index], choice: factor.choices[index])
          factors[index] = words[index] &* seen &- factor.product[index]
        }
      }
      PendingPermutation.subtract(r, bits: function.resultBits, from: &words)
      return nil
    }
  }

  /// What party 0 sends of a factor: words of each place, and their differences.
  private func answer(_ factor: PermutingFactor, _ orders: [[UInt32]]) -> [[UInt64]] {
    var opened = [UInt64](repeating: 0, count: factors.count)
    add(factors, orders, to: &opened)
    let sent = opened.indices.map {
      factor.factor.sent(
        opened[$0], delta: factor.delta[$0], choice: factor.choices[$0],
        differencePad: factor.differencePads[$0])
    }
    return [sent.map(\.word), sent.map(\.difference)]
  }

  /// Adds `words`, permuted, to `sum`.
  private func add(_ words: [UInt64], _ orders: [[UInt32]], to sum: inout [UInt64]) {
    for (range, order) in zip(ranges, orders) {
      let first = range.elements.lowerBound
      for (place, element) in order.enumerated() {
        sum[first + place] &+= words[first + Int(element)]
      }
    }
  }

  private static func subtract(_ mask: [UInt64], bits: Int, from words: inout [UInt64]) {
    for index in words.indices { words[index] &-= mask[index] }
    reduce(&words, bits: bits)
  }

  private static func reduce(_ words: inout [UInt64], bits: Int) {
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
    let shape = program.values[x].shape
    let count = shared[x].count
    let completed = step.completed(
      shortened(x, function.opening), shape, function,
      absent: constantFactor == 1 ? function.absent : 0)
    let factors =
      function.factor.map {
        step.completed(shortened($0.value, $0.opening), shape, function, absent: 0)
      } ?? []
    let ranges = step.permutedRanges(shape, function)
    // Of a whole text all that is dealt.
    let elements =
      completed.count > count
      ? [0..<completed.count] : self.ranges[derived[node].components[0].shape]
    let dealt = try derived[node].components.indices.map { component throws(InputError) in
      try words(node: node, component: component, ranges: elements)
    }
    let material: PendingPermutation.Material
    if let masks = derived[node].permuted {
      material = .computing(
        a: masks.operand.words(in: elements), b: dealt[0],
        r: masks.result.words(in: elements),
        factor: computingFactor(node, function, dealt, elements))
      shared[program.nodes[node].outputs.lowerBound] = Array(dealt[1].prefix(count))
    } else {
      material = .permuting(
        orders: orders(node, ranges), delta: dealt[0], epsilon: dealt[1],
        factor: permutingFactor(node, function, dealt, elements))
    }
    pending[node] = PendingPermutation(
      function, share: completed, factor: factors, count: count, ranges: ranges,
      inputBits: program.permutedBits(x, function), material: material)
    if let words = early.removeValue(forKey: node) { advance(node, words[...]) }
  }

  /// This party's share of `x` as `opening` shortens it, without a mask.
  private func shortened(_ x: ValueID, _ opening: Opening) -> [UInt64] {
    opening.masked(
      shared[x], ringBits: program.values[x].ringBits,
      mask: [UInt64](repeating: 0, count: shared[x].count), constantFactor: constantFactor)
  }

  private func permutingFactor(
    _ node: Int, _ function: PermutedFunction, _ dealt: [[UInt64]], _ elements: [Range<Int>]
  ) -> PendingPermutation.PermutingFactor? {
    guard let factor = function.factor, let pads = derived[node].permutedFactor else { return nil }
    return PendingPermutation.PermutingFactor(
      factor: factor, pads: pads.first.words(in: elements),
      differencePads: pads.second.words(in: elements), delta: dealt[2], choices: dealt[3])
  }

  private func computingFactor(
    _ node: Int, _ function: PermutedFunction, _ dealt: [[UInt64]], _ elements: [Range<Int>]
  ) -> PendingPermutation.ComputingFactor? {
    guard let factor = function.factor, let masks = derived[node].permutedFactor else { return nil }
    return PendingPermutation.ComputingFactor(
      factor: factor, mask: masks.first.words(in: elements), permutedMask: dealt[2],
      choices: dealt[3], product: masks.second.words(in: elements))
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
