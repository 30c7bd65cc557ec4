// Permuted functions whose results are multiplied: both parties, the simulator, and what party 1 sees.

import Foundation
import Models
import OnlineRuntime
import Program
import Randomness
import Sharing
import TestSupport
import Testing
import Validation

@Suite struct PermutedFactorTests {
  typealias Rule = PermutedFunction.Rule

  static let inputBits = 16
  static let resultBits = 50

  static func function(
    _ rule: Rule, _ factor: ValueID, opening: Opening, factorOpening: Opening
  ) -> PermutedFunction {
    PermutedFunction(
      rule, opening: opening, fractionalBits: 20, resultBits: resultBits,
      factor: PermutedFunction.Factor(factor, opening: factorOpening))
  }

  /// A program of rule(x) (5 x + 77), whose result is shifted into the whole ring.
  static func execute(
    kind: ModelKind = .decoder, width: Int, session: SessionShape? = nil, steps: [[UInt64]],
    rule: Rule = .silu, shift: Int = 0, bits: Int = 24, factorShift: Int, factorBits: Int
  ) throws -> PrimitiveTests.Outcome {
    try PrimitiveTests.execute(kind: kind, width: width, session: session, steps: steps) {
      builder, x in
      builder.program.values[x.id].fractionalBits = inputBits
      let factor = try builder.emit(
        .combine([Term(x.id, 5)], constant: 77), bits: inputBits, bound: 1)
      let bits = 20 + inputBits - factorShift
      let id = try builder.emit(
        .permuted(
          x.id,
          function(
            rule, factor.id, opening: Opening(shift: shift, bits: 24),
            factorOpening: Opening(shift: factorShift, bits: factorBits))), bits: [bits])[0]
      #expect(builder.program.values[id].ringBits == resultBits)
      return try builder.emit(
        .combine([Term(id, 1 << (64 - resultBits))], constant: 0),
        bits: bits + 64 - resultBits, bound: 1)
    }
  }

  static func factor(_ word: UInt64) -> Double {
    PermutedFunctionTests.real(5 &* word &+ 77, bits: inputBits)
  }

  /// Both parties and the simulator give the same bits, near the real product, and what travels is the
  /// cost.
  @Test(
    arguments: [Rule.relu, .gelu, .geluTanh, .silu, .tanh, .sigmoid, .exponential], [0, 3])
  func parties(rule: Rule, shift: Int) throws {
    let width = 12
    let steps = PermutedFunctionTests.steps(width: width, bits: 18)
    let outcome = try Self.execute(
      width: width, steps: steps, rule: rule, shift: shift, factorShift: shift, factorBits: 24)
    #expect(outcome.parties == outcome.simulator)
    let bits = 20 + Self.inputBits - shift + 64 - Self.resultBits
    for (words, results) in zip(steps, outcome.parties) {
      for (word, result) in zip(words, results) {
        let x = PermutedFunctionTests.real(word, bits: Self.inputBits)
        let exact = PermutedFunctionTests.expected(rule, [x])[0] * Self.factor(word)
        let value = PermutedFunctionTests.real(result, bits: bits)
        let slack = shift == 0 ? 0x1p-14 : 0x1p-8
        #expect(
          abs(value - exact) <= slack * max(1, abs(exact)), "\(rule) \(x): \(value), \(exact)")
      }
    }
    let channels = outcome.run.channels
    for (index, words) in steps.enumerated() {
      let first = index == 0 ? 0 : 2 + index
      let step = SessionStep(
        session: outcome.run.session, rows: first..<first + words.count / width, index: index)
      let cost = outcome.run.program.cost(of: step)
      #expect(cost.roundCount == 3 && cost.messageCounts == [1, 2])
      for party in 0...1 {
        let sent = channels[party].rounds[3 * index..<3 * index + 3]
        #expect(sent.reduce(0) { $0 + $1.count } == cost.sentWordCounts[party])
      }
    }
    #expect(channels[0].rounds.count == 9)
  }

  /// Numbers that a factor has no room for are the same wrong ones for all.
  @Test func whatIsOutOfRangeIsEqual() throws {
    let steps = PermutedFunctionTests.steps(width: 12, bits: 18)
    for bits in [2, 9, Self.resultBits - 1] {
      let outcome = try Self.execute(width: 12, steps: steps, factorShift: 1, factorBits: bits)
      #expect(outcome.parties == outcome.simulator)
    }
  }

  /// A whole text is permuted, and rows that it does not have are multiplied with nothing.
  @Test(arguments: [3, 7])
  func encodersPermuteTheWholeText(capacity: Int) throws {
    let (width, rows) = (4, 3)
    let input = PrimitiveTests.inputs(count: rows * width, bits: 18)
    let session = SessionShape(kind: .encoder, promptCapacity: capacity, newCapacity: 0)
    let outcome = try Self.execute(
      kind: .encoder, width: width, session: session, steps: [input], factorShift: 2,
      factorBits: 24)
    #expect(outcome.parties == outcome.simulator)
    let program = outcome.run.program
    let cost = program.cost(of: SessionStep(session: session, rows: 0..<rows, index: 0))
    #expect(cost.permutedElementCount == capacity * width)
    let sent = outcome.run.channels.map { $0.rounds.reduce(0) { $0 + $1.count } }
    #expect(sent == cost.sentWordCounts)
    for (word, result) in zip(input, outcome.parties[0]) {
      let x = PermutedFunctionTests.real(word, bits: 16)
      let exact = x / (1 + exp(-x)) * Self.factor(word)
      #expect(
        abs(PermutedFunctionTests.real(result, bits: 48) - exact) < 0x1p-10 * max(1, abs(exact)))
    }
  }

  /// For any other number there are pads of party 0 with which party 1 receives the very same words: what
  /// it receives tells nothing of the factor.
  @Test func whatPartyOneReceivesTellsNothingOfTheFactor() {
    let bits = 24
    let factor = PermutedFunction.Factor(0, opening: Opening(shift: 0, bits: bits))
    let stream = RandomStream(
      seed: PrimitiveTests.seed,
      label: StreamLabel(session: 0, party: 0, operation: 7, kind: 99, index: 0))
    let words = stream.words(at: 0, count: 8 * 1000)
    for start in stride(from: 0, to: words.count, by: 8) {
      let word = words[start..<start + 8].map { $0 }
      let (mask, pad, differencePad, choice) = (word[0], word[1], word[2], word[3])
      let permutedMask = word[4]
      let numbers = word[5...6].map {
        UInt64(bitPattern: Int64(bitPattern: $0) >> (66 - Int64(bits)))
      }
      func received(_ number: UInt64, pad: UInt64, differencePad: UInt64) -> (
        word: UInt64, difference: UInt64, choice: UInt64
      ) {
        let dealt = factor.dealt(
          mask: mask, pad: pad, differencePad: differencePad, choice: choice)
        let own = dealt.topBit &- choice
        let sent = factor.sent(
          factor.opening.reduced(number &+ mask), delta: dealt.word &- permutedMask, choice: own,
          differencePad: differencePad)
        let seen = factor.seen(
          sent.word &+ permutedMask, difference: sent.difference, choice: choice)
        #expect(seen == number &- pad)
        return (sent.word, sent.difference, own & 1)
      }
      func carries(_ number: UInt64) -> UInt64 {
        ViewParts.of(factor.opening.reduced(number &+ mask), shift: 0, bits: bits).lift
          &>> UInt64(bits)
      }
      let first = received(numbers[0], pad: pad, differencePad: differencePad)
      let change = (carries(numbers[1]) &- carries(numbers[0])) &* (1 &- 2 &* first.choice)
      let second = received(
        numbers[1], pad: pad &+ numbers[1] &- numbers[0], differencePad: differencePad &+ change)
      #expect(first.word == second.word && first.difference == second.difference)
    }
  }

  /// All that travels is uniform, whatever x and its factor are.
  @Test(arguments: [0, 3 << 16, (1 << 18) - 1])
  func messagesAreUniform(number: Int) throws {
    let width = 8
    let input = [UInt64](repeating: UInt64(number), count: width)
    var builder = ProgramBuilder(
      program: SecureProgram(
        family: "test", kind: .decoder, clientInput: .embedding, vocabularySize: 1,
        maximumPositions: 4))
    let x = builder.input(width: width, bits: 0, bound: 1)
    let function = PermutedFunction(
      .silu, opening: Opening(shift: 0, bits: 32), fractionalBits: 8, resultBits: 64,
      factor: PermutedFunction.Factor(x.id, opening: Opening(shift: 0, bits: 32)))
    let result = try builder.emit(.permuted(x.id, function), bits: [8])[0]
    _ = try builder.emit(.output(result), bits: [])
    let session = SessionShape(kind: .decoder, promptCapacity: 1, newCapacity: 1)
    var sent: [[UInt64]] = [[], []]
    for run in 0..<300 {
      let seed = Seed(bytes: Array(SHA256.digest(Array("factors \(number) \(run)".utf8))))
      let parties = try TwoPartyRun(
        program: builder.program, weights: [], session: session, seed: seed)
      _ = try parties.run([(words: input, rowCount: 1)])
      for party in 0...1 { sent[party] += parties.channels[party].rounds.joined() }
    }
    for party in 0...1 {
      #expect(sent[party].count == 300 * (party == 0 ? 4 + 8 + 4 : 4 + 4 + 8 + 8))
      #expect(Uniformity.chiSquare(words: sent[party]) < Uniformity.limit)
    }
  }
}
