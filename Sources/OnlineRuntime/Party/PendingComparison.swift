// One party's side of comparisons by bits, between the rounds that they take.

import Program
import Rings

/// The comparisons of one operation: all elements with all knots, 64 elements at a time.
///
/// With u = low(X - knot) and v = low(r), the bit [x < knot] is the top bit of the window of X -
/// knot, plus that of r, plus [u < v] modulo 2. Its circuit is in `BitComparison`.
struct PendingComparison: PendingExchange {
  private let function: PiecewiseLinear
  private let circuit: BitComparison
  private let count: Int
  /// y, on which the slopes act.
  let value: MaskedWords
  /// Shares of the result's mask bit times 1 and the mask parts, a word a knot.
  private let results: [[UInt64]]
  private let tables: PieceTables
  /// Shares of the dealt bits and of the mask bits.
  private let dealt: BitTiles
  private let masks: BitTiles
  /// A public bit as a share: all ones at party 0.
  private let ones: UInt64
  /// Shares of g and p of every item, by tile, knot and item; item 0 becomes the result.
  private var items: [UInt64]
  /// Shares of the result without [u < v], by tile and knot.
  private var signs: [UInt64]
  private var round = 0
  private var sent: [UInt64] = []

  /// - Parameters:
  ///   - opened: X, an element a word.
  ///   - results: the arrays `resultBit`.
  init(
    function: PiecewiseLinear, tables: PieceTables, opened: [UInt64], value: MaskedWords,
    results: [[UInt64]], dealt: BitTiles, masks: BitTiles, party: Int
  ) {
    let circuit = function.circuit
    self.function = function
    self.tables = tables
    self.circuit = circuit
    count = opened.count
    self.value = value
    self.results = results
    self.dealt = dealt
    self.masks = masks
    ones = party == 0 ? .max : 0
    let knotCount = function.knots.count
    items = [UInt64](
      repeating: 0, count: dealt.tileCount * knotCount * circuit.blocks.count * 2)
    signs = [UInt64](repeating: 0, count: dealt.tileCount * knotCount)
    var planes = [UInt64](repeating: 0, count: 64)
    for tile in 0..<dealt.tileCount {
      let start = tile * dealt.planeCount
      let lanes = dealt.laneCount(tile: tile)
      for (knot, place) in function.knots.enumerated() {
        for lane in 0..<64 {
          planes[lane] =
            lane < lanes
            ? function.window(opened[64 * tile + lane] &- UInt64(bitPattern: Int64(place))) : 0
        }
        BitTiles.transpose(&planes)
        let index = tile * knotCount + knot
        let counted = circuit.isNoisy ? dealt.words[start + circuit.thresholdCount + 1] : ones
        signs[index] =
          (planes[circuit.levels] & counted) ^ dealt.words[start + circuit.thresholdCount]
        leaves(planes, thresholds: start, into: index * circuit.blocks.count * 2)
      }
    }
  }

  /// Shares of g and p of each block of u, whose bits are `planes`.
  ///
  /// g is the threshold [block of v >= u + 1], and p is that plus [block of v >= u].
  private mutating func leaves(_ planes: [UInt64], thresholds: Int, into first: Int) {
    var threshold = thresholds
    var place = first
    for block in circuit.blocks {
      var size = 1 << block.count
      // Entry u of each: [v >= u + 1], which is 0 for the largest u, and [v >= u], 1 for u = 0.
      var above = Array(dealt.words[threshold..<threshold + size - 1]) + [0]
      var reached = [ones] + above.dropLast()
      threshold += size - 1
      for bit in block {
        size /= 2
        let choice = planes[bit]
        for entry in 0..<size {
          above[entry] =
            above[2 * entry] ^ (choice & (above[2 * entry] ^ above[2 * entry + 1]))
          reached[entry] =
            reached[2 * entry] ^ (choice & (reached[2 * entry] ^ reached[2 * entry + 1]))
        }
      }
      items[place] = above[0]
      items[place + 1] = above[0] ^ reached[0]
      place += 2
    }
  }

  /// The words to send in this round.
  mutating func outgoing() -> [UInt64] {
    var writer = BitWriter()
    let isLast = round == circuit.gates.count
    precondition(!isLast || circuit.opensResult, "a round of its own")
    forEachKnot { state, tile, knot, lanes in
      let first = state.firstItem(tile, knot)
      let mask = state.firstMask(tile, knot)
      if isLast {
        let share = state.items[first] ^ state.signs[tile * state.function.knots.count + knot]
        writer.append(
          share ^ state.masks.words[mask + state.circuit.maskCount - 1], count: lanes)
        return
      }
      for gate in state.circuit.gates[state.round] {
        for (number, variable) in gate.variables.enumerated() {
          let share = state.items[first + 2 * variable.item + (variable.isPropagate ? 1 : 0)]
          writer.append(share ^ state.masks.words[mask + gate.firstMask + number], count: lanes)
        }
      }
    }
    sent = writer.words
    return writer.words
  }

  /// Both parties send as much.
  var incomingCount: Int { sent.count }

  var observed: [UInt64]? { nil }

  /// Takes the other party's words of this round.
  ///
  /// - Returns: after the last round this party's shares of each output.
  mutating func receive(_ incoming: [UInt64], constantFactor: UInt64) -> [[UInt64]]? {
    precondition(incoming.count == sent.count, "as many words as were sent")
    var reader = BitReader(zip(sent, incoming).map { $0 ^ $1 })
    guard round < circuit.gates.count else {
      return outputs(&reader, constantFactor: constantFactor)
    }
    // By set of variables: products of opened bits, and shares of products of mask bits.
    var opened = [UInt64](repeating: 0, count: 128)
    var masked = opened
    forEachKnot { state, tile, knot, lanes in
      for (number, gate) in state.circuit.gates[state.round].enumerated() {
        state.join(
          gate, number, tile: tile, knot: knot, lanes: lanes, &reader, opened: &opened,
          masked: &masked)
      }
    }
    round += 1
    return resultsWithoutOpening(constantFactor: constantFactor)
  }

  /// The outputs once no round is left, where results are bits that are not opened.
  ///
  /// Shares of exclusive or are shares modulo 2, and more is not known of the outputs.
  func resultsWithoutOpening(constantFactor: UInt64) -> [[UInt64]]? {
    guard !circuit.opensResult, round == circuit.gates.count else { return nil }
    var sums = PieceSums(tables: tables, value: value, constantFactor: constantFactor)
    let knotCount = function.knots.count
    for tile in 0..<dealt.tileCount {
      for knot in 0..<knotCount {
        let bits = items[firstItem(tile, knot)] ^ signs[tile * knotCount + knot]
        for lane in 0..<dealt.laneCount(tile: tile) {
          sums.add(element: 64 * tile + lane, knot: knot, flip: 0) { _ in
            (bits &>> UInt64(lane)) & 1
          }
        }
      }
    }
    return sums.results
  }

  /// Evaluates one gate: a product of variables x_i = X_i + a_i, with X_i opened and a_i dealt
  /// masks, is the sum over all subsets S of the product of X outside S and the dealt product of a
  /// in S.
  private mutating func join(
    _ gate: BitComparison.Gate, _ number: Int, tile: Int, knot: Int, lanes: Int,
    _ reader: inout BitReader, opened: inout [UInt64], masked: inout [UInt64]
  ) {
    let first = firstItem(tile, knot)
    let highest = first + 2 * (gate.items.upperBound - 1)
    let joined = first + 2 * number
    guard gate.items.count > 1 else {
      (items[joined], items[joined + 1]) = (items[highest], items[highest + 1])
      return
    }
    let mask = firstMask(tile, knot) + gate.firstMask
    opened[0] = .max
    masked[0] = ones
    for variable in gate.variables.indices {
      opened[1 << variable] = reader.next(lanes)
      masked[1 << variable] = masks.words[mask + variable]
    }
    for set in 1..<1 << gate.variables.count where set & (set - 1) != 0 {
      opened[set] = opened[set & (set - 1)] & opened[set & -set]
    }
    let product =
      tile * dealt.planeCount + circuit.firstProduct + knot * circuit.productCount
      + gate.firstProduct
    for (index, set) in gate.products.enumerated() {
      masked[set] = dealt.words[product + index]
    }
    func share(of term: Int) -> UInt64 {
      var sum = opened[term] & masked[0]
      var subset = term
      while subset > 0 {
        sum ^= opened[term ^ subset] & masked[subset]
        subset = (subset - 1) & term
      }
      return sum
    }
    let generated = gate.generateTerms.reduce(items[highest]) { $0 ^ share(of: $1) }
    items[joined + 1] = gate.propagateTerm.map(share) ?? 0
    items[joined] = generated
  }

  /// With e = [x < knot] + a opened and a masked bit a dealt, [x < knot] = e + (1 - 2 e) a.
  private func outputs(_ reader: inout BitReader, constantFactor: UInt64) -> [[UInt64]] {
    var sums = PieceSums(tables: tables, value: value, constantFactor: constantFactor)
    let knotCount = function.knots.count
    for tile in 0..<dealt.tileCount {
      let lanes = dealt.laneCount(tile: tile)
      for knot in 0..<knotCount {
        let bits = reader.next(lanes)
        for lane in 0..<lanes {
          let element = 64 * tile + lane
          sums.add(
            element: element, knot: knot, flip: (bits &>> UInt64(lane)) & 1
          ) { results[$0][element * knotCount + knot] }
        }
      }
    }
    return sums.results
  }

  private func firstItem(_ tile: Int, _ knot: Int) -> Int {
    (tile * function.knots.count + knot) * circuit.blocks.count * 2
  }

  private func firstMask(_ tile: Int, _ knot: Int) -> Int {
    tile * masks.planeCount + knot * circuit.maskCount
  }

  /// Calls `body` for every tile and knot in the order in which bits travel.
  private mutating func forEachKnot(
    _ body: (inout PendingComparison, _ tile: Int, _ knot: Int, _ lanes: Int) -> Void
  ) {
    for tile in 0..<dealt.tileCount {
      let lanes = dealt.laneCount(tile: tile)
      for knot in function.knots.indices { body(&self, tile, knot, lanes) }
    }
  }
}
