// Comparisons by bits in two parties: the truth, and word for word what comparison keys give.

import Models
import Program
import Rings
import Sharing
import TestSupport
import Testing

struct BitComparisonTests {
  /// 1 for x below each knot: a sum of weights, one for every set of knots.
  static func run(
    _ input: [UInt64], bits comparedBits: Int, knots: [Int], shift: Int = 0, dropped: Int = 0,
    by comparison: ComparisonProtocol
  ) throws -> PrimitiveTests.Outcome {
    let function = PiecewiseLinear(
      shift: shift, droppedBits: dropped, comparedBits: comparedBits, knots: knots,
      outputs: [
        .init(
          slopes: (0...knots.count).map { 3 - 2 * $0 },
          intercepts: (0...knots.count).map { 1000 * $0 }, fractionalBits: 0)
      ], comparison: comparison)
    return try PrimitiveTests.execute(width: input.count, steps: [input]) { builder, x in
      let ids = try builder.emit(.piecewiseLinear(builder.open(x).id, function), bits: [0])
      return FixedValue(id: ids[0], bits: 0, bound: 1)
    }
  }

  /// Constants by pieces: as they are, or modulo 2 as the top bits of the words.
  static func runConstants(
    _ input: [UInt64], bits comparedBits: Int, knots: [Int], shift: Int = 0, resultBits: Int?,
    by comparison: ComparisonProtocol
  ) throws -> PrimitiveTests.Outcome {
    let count = knots.count + 1
    let function = PiecewiseLinear(
      shift: shift, droppedBits: 0, comparedBits: comparedBits, knots: knots,
      outputs: [
        .init(
          slopes: [Int](repeating: 0, count: count), intercepts: (0..<count).map { 7 * $0 },
          fractionalBits: 0)
      ], comparison: comparison, resultBits: resultBits)
    return try PrimitiveTests.execute(width: input.count, steps: [input]) { builder, x in
      let id = try builder.emit(.piecewiseLinear(builder.open(x).id, function), bits: [0])[0]
      guard resultBits != nil else { return FixedValue(id: id, bits: 0, bound: 1) }
      let top = try builder.emit(.combine([Term(id, Int.min)], constant: 0), bits: [0])[0]
      return FixedValue(id: top, bits: 0, bound: 1)
    }
  }

  /// Of constant pieces the bit alone is dealt, and of results modulo 2 not even a product by bits,
  /// which then take one round less: down to none.
  @Test(arguments: [2, 3, 5, 6, 9, 20, 62], [nil, 1])
  func constantPieces(bits: Int, resultBits: Int?) throws {
    let reach = 1 << (bits - 1)
    let knots = bits < 5 ? [0] : [-reach / 4, 0, 3]
    let largest = reach - 1 - reach / 4
    let near = (knots + [largest, -largest]).flatMap { [$0 - 1, $0, $0 + 1] }
      .filter { abs($0) <= largest }
    let random = PrimitiveTests.inputs(count: 100, bits: bits - 2, salt: UInt32(bits))
    let input = near.map { UInt64(bitPattern: Int64($0)) } + (bits < 5 ? [] : random)
    for comparison in ComparisonProtocol.allCases {
      for shift in [0, 4] {
        let outcome = try Self.runConstants(
          input, bits: bits, knots: knots, shift: shift, resultBits: resultBits, by: comparison)
        #expect(outcome.parties == outcome.simulator)
        for (x, result) in zip(input, outcome.parties[0]) {
          let x = Int(PrimitiveTests.signed(x))
          let constant = 7 * (knots.firstIndex { x < $0 } ?? knots.count)
          let expected = resultBits == nil ? constant : constant << 63
          #expect(PrimitiveTests.signed(result) == Int64(expected), "x = \(x)")
        }
        let dealt = outcome.run.program.correlationCost(of: outcome.run.session)
        let words = dealt.storedWordCount.reduce(0, +)
        let circuit = BitComparison(levels: bits - 1)
        let tiles = (input.count + 63) / 64 * circuit.planeCount(knots: knots.count)
        switch (comparison, resultBits) {
        case (.keys, _):
          let layout = ComparisonKeyLayout(
            levels: bits - 1, payload: 1, wordByteCount: resultBits == nil ? 8 : 1)
          #expect(words == input.count)
          #expect(dealt.keyByteCount == input.count * layout.byteCount)
        case (.bits, nil): #expect(words == tiles + input.count * knots.count)
        case (.bits, _?): #expect(words == tiles)
        }
        let rounds = outcome.run.channels[0].rounds.count
        #expect(
          rounds == 1
            + (comparison == .keys ? 0 : circuit.roundCount - (resultBits == nil ? 0 : 1)))
      }
    }
  }

  static func expected(_ x: Int, knots: [Int]) -> Int {
    let piece = knots.firstIndex { x < $0 } ?? knots.count
    return x * (3 - 2 * piece) + 1000 * piece
  }

  /// Every x that a small window allows, each under many masks.
  @Test(arguments: 2...11)
  func allValuesOfSmallWindows(bits: Int) throws {
    let reach = 1 << (bits - 1)
    // |x - knot| < 2^(bits - 1) for all knots.
    let knots = [-reach / 4, 0, reach / 4].reduce(into: [Int]()) {
      if $0.last != $1 { $0.append($1) }
    }
    let largest = reach - 1 - reach / 4
    let values = Array(-largest...largest)
    let input = (0..<max(1, 600 / values.count)).flatMap { _ in values }
    let words = input.map { UInt64(bitPattern: Int64($0)) }
    let outcomes = try ComparisonProtocol.allCases.map {
      try Self.run(words, bits: bits, knots: knots, by: $0)
    }
    #expect(outcomes[0].parties == outcomes[1].parties)
    #expect(outcomes[1].parties == outcomes[1].simulator)
    for (x, result) in zip(input, outcomes[1].parties[0]) {
      #expect(Int(PrimitiveTests.signed(result)) == Self.expected(x, knots: knots), "x = \(x)")
    }
  }

  /// Knots, ends of the window, and random values; with dropped bits the words are still those of
  /// keys.
  @Test(
    arguments: [
      (17, 0, 0), (20, 0, 4), (33, 0, 0), (34, 3, 7), (44, 12, 40), (48, 0, 0), (60, 1, 0),
      (62, 0, 62), (61, 2, 20),
    ])
  func largeWindows(bits: Int, dropped: Int, shift: Int) throws {
    let reach = 1 << (bits + dropped - 1)
    let knots = [-reach / 4 - 1, -3, 0, reach / 4]
    let ends = [reach - 2 - reach / 4, 1 - reach + reach / 4]
    let near = (knots + ends).flatMap { place in
      [-1, 0, 1].map { place + $0 }.filter { ends[1]...ends[0] ~= $0 }
    }
    let random = PrimitiveTests.inputs(count: 150, bits: bits + dropped - 2, salt: UInt32(bits))
    let input = near.map { UInt64(bitPattern: Int64($0)) } + random
    let outcomes = try ComparisonProtocol.allCases.map {
      try Self.run(input, bits: bits, knots: knots, shift: shift, dropped: dropped, by: $0)
    }
    #expect(outcomes[0].parties == outcomes[1].parties)
    #expect(outcomes[1].parties == outcomes[1].simulator)
    guard dropped == 0, shift == 0 else { return }
    for (x, result) in zip(input, outcomes[1].parties[0]) {
      let x = Int(PrimitiveTests.signed(x))
      #expect(
        result == UInt64(bitPattern: Int64(truncatingIfNeeded: Self.expected(x, knots: knots))),
        "x = \(x)")
    }
  }

  /// What is opened: the argument, the inputs of every level of gates, and the result.
  @Test func roundsAndBytesOfOneComparison() throws {
    let input = PrimitiveTests.inputs(count: 100, bits: 30)
    let outcome = try Self.run(input, bits: 32, knots: [0], shift: 4, by: .bits)
    let program = outcome.run.program
    let step = SessionStep(session: outcome.run.session, rows: 0..<1, index: 0)
    let cost = program.cost(of: step)
    #expect(cost.roundCount == 4)
    #expect(cost.bitComparisonCount == 100 && cost.comparisonCount == 0)
    for channel in outcome.run.channels {
      // 13, 2 and 1 bits an element, in words without gaps.
      #expect(channel.rounds.map(\.count) == [100, 21, 4, 2])
    }
    #expect(cost.openedWordCount == 127)
    let dealt = program.correlationCost(of: outcome.run.session)
    #expect(dealt.keyCount == 0 && dealt.keyByteCount == 0 && dealt.bitComparisonCount == 100)
    // 151 bits an element in two tiles; the bit and its products with two mask parts; t and h.
    #expect(dealt.storedWordCount.reduce(0, +) == 2 * 151 + 500)
    for party in 0...1 {
      #expect(
        outcome.run.correlations.allWords(party: party).count == dealt.storedWordCount[party])
    }
  }

  /// Everything that one party sends is masked: uniform, whatever the input.
  @Test func openedBitsAreUniform() throws {
    let zeros = [UInt64](repeating: 0, count: 1 << 14)
    let outcome = try Self.run(zeros, bits: 32, knots: [1], by: .bits)
    for party in 0...1 {
      let sent = outcome.run.channels[party].rounds.dropFirst()
      let other = outcome.run.channels[1 - party].rounds.dropFirst()
      #expect(Uniformity.chiSquare(words: sent.flatMap { $0 }) < Uniformity.limit)
      let opened = zip(sent.flatMap { $0 }, other.flatMap { $0 }).map { $0 ^ $1 }
      #expect(Uniformity.chiSquare(words: opened) < Uniformity.limit)
      #expect(
        Uniformity.chiSquare(words: outcome.run.correlations.allWords(party: party))
          < Uniformity.limit)
    }
  }
}
