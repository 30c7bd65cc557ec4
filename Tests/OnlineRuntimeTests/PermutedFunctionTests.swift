// Permuted functions in two parties and in the simulator, against the mathematics.

import Foundation
import Models
import OnlineRuntime
import Program
import Randomness
import Sharing
import TestSupport
import Testing
import Validation

@Suite struct PermutedFunctionTests {
  typealias Rule = PermutedFunction.Rule

  static func real(_ word: UInt64, bits: Int) -> Double {
    Double(Int64(bitPattern: word)) / exp2(Double(bits))
  }

  /// What `rule` gives for the numbers of one run, by the system's functions.
  static func expected(_ rule: Rule, _ x: [Double]) -> [Double] {
    switch rule {
    case .relu: return x.map { max($0, 0) }
    case .gelu: return x.map { $0 / 2 * erfc(-$0 / 2.0.squareRoot()) }
    case .geluTanh:
      return x.map {
        $0 / 2 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * pow($0, 3))))
      }
    case .silu: return x.map { $0 / (1 + exp(-$0)) }
    case .tanh: return x.map { tanh($0) }
    case .sigmoid: return x.map { 1 / (1 + exp(-$0)) }
    case .exponential: return x.map { exp($0) }
    case .softmax:
      let powers = x.map { exp($0 - (x.max() ?? 0)) }
      return powers.map { $0 / powers.reduce(0, +) }
    case .layerNorm(let epsilon):
      let mean = x.reduce(0, +) / Double(x.count)
      return expected(.rmsNorm(epsilon: epsilon), x.map { $0 - mean })
    case .rmsNorm(let epsilon):
      let square = x.reduce(0) { $0 + $1 * $1 } / Double(x.count)
      return x.map { $0 / (square + epsilon).squareRoot() }
    }
  }

  static let rules: [Rule] = [
    .relu, .gelu, .geluTanh, .silu, .tanh, .sigmoid, .exponential, .softmax,
    .layerNorm(epsilon: 1e-5), .rmsNorm(epsilon: 1e-6),
  ]

  /// Rows up to 2^bits with `fractionalBits`, in a prompt of three rows and two steps of one.
  static func steps(width: Int, bits: Int) -> [[UInt64]] {
    [3, 1, 1].enumerated().map {
      PrimitiveTests.inputs(count: $1 * width, bits: bits, salt: UInt32($0))
    }
  }

  /// Both parties and the simulator give the same bits, near the function's real value.
  @Test(arguments: rules, [(0, 24), (11, 30)])
  func parties(rule: Rule, opening: (shift: Int, bits: Int)) throws {
    let (width, inputBits, resultBits) = (12, 16, 36)
    let steps = Self.steps(width: width, bits: 18 + opening.shift)
    let function = PermutedFunction(
      rule, opening: Opening(shift: opening.shift, bits: opening.bits),
      runCount: rule.takesRuns ? 2 : 1, fractionalBits: 20, resultBits: resultBits)
    let outcome = try PrimitiveTests.execute(width: width, steps: steps) { builder, x in
      builder.program.values[x.id].fractionalBits = inputBits + opening.shift
      let id = try builder.emit(.permuted(x.id, function), bits: [20])[0]
      #expect(builder.program.values[id].ringBits == resultBits)
      return try builder.emit(
        .combine([Term(id, 1 << (64 - resultBits))], constant: 0), bits: 48, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    for (words, results) in zip(steps, outcome.parties) {
      let run = rule.takesRuns ? 6 : 1
      for start in stride(from: 0, to: words.count, by: run) {
        let x = words[start..<start + run].map { Self.real($0, bits: inputBits + opening.shift) }
        // A unit of the last place, from the carry of dropped bits, as far as it matters.
        let slack = opening.shift == 0 ? 0x1p-20 : 0x1p-14
        for (place, exact) in Self.expected(rule, x).enumerated() {
          let value = Self.real(results[start + place], bits: 48)
          #expect(
            abs(value - exact) <= slack * max(1, abs(exact)), "\(rule) \(x): \(value), \(exact)")
        }
      }
    }
    // The cost is what travels: one message at a time, to party 0, back and to party 0.
    let session = outcome.run.session
    let channels = outcome.run.channels
    var round = 0
    for (index, words) in steps.enumerated() {
      let first = index == 0 ? 0 : 2 + index
      let cost = outcome.run.program.cost(
        of: SessionStep(session: session, rows: first..<first + words.count / width, index: index))
      #expect(cost.roundCount == 3)
      #expect(cost.messageCounts == [1, 2])
      for party in 0...1 {
        let sent = channels[party].rounds[round..<round + 3]
        #expect(sent.reduce(0) { $0 + $1.count } == cost.sentWordCounts[party])
        #expect(sent.map(\.isEmpty) == [party == 0, party == 1, party == 0])
      }
      round += 3
    }
    #expect(channels[0].rounds.count == round)
  }

  /// Heads of a decoder's scores have as many keys as their rows, and a permutation each.
  @Test func softmaxOfScores() throws {
    let (heads, width) = (3, 6)
    let steps = Self.steps(width: width, bits: 12)
    let function = PermutedFunction(
      .softmax, opening: Opening(shift: 4, bits: 30), fractionalBits: 30, resultBits: 34)
    let outcome = try PrimitiveTests.execute(width: width, steps: steps) { builder, x in
      let opened = try builder.open(x)
      let scores = try builder.emit(
        .scores(query: opened.id, key: opened.id, heads: heads, keyHeads: heads), bits: [22])[0]
      let weights = try builder.emit(.permuted(scores, function), bits: [30])[0]
      let sums = try builder.emit(.sum(weights, runs: heads), bits: [30])[0]
      return try builder.emit(.combine([Term(sums, 1 << 30)], constant: 0), bits: 60, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    for results in outcome.parties {
      for sum in results { #expect(abs(Self.real(sum, bits: 60) - 1) < 0x1p-28) }
    }
  }

  /// An encoder's text is shorter than the session: keys that it does not have weigh nothing.
  @Test func absentKeysWeighNothing() throws {
    let (heads, width, rows) = (2, 4, 3)
    let input = PrimitiveTests.inputs(count: rows * width, bits: 10)
    let function = PermutedFunction(
      .softmax, opening: Opening(shift: 0, bits: 26), fractionalBits: 24, resultBits: 28)
    func outcome(capacity: Int) throws -> PrimitiveTests.Outcome {
      try PrimitiveTests.execute(
        kind: .encoder, width: width,
        session: SessionShape(kind: .encoder, promptCapacity: capacity, newCapacity: 0),
        steps: [input]
      ) { builder, x in
        let opened = try builder.open(x)
        let scores = try builder.emit(
          .scores(query: opened.id, key: opened.id, heads: heads, keyHeads: heads), bits: [16])[0]
        let padded = try builder.emit(.padKeys(scores), bits: [16])[0]
        let weights = try builder.emit(.permuted(padded, function), bits: [24])[0]
        let values = try builder.emit(.padRows(x.id), bits: [0])[0]
        let mix = try builder.emit(
          .mix(
            weights: builder.emit(.open(weights, Opening(shift: 0, bits: 28)), bits: [24])[0],
            value: builder.emit(.open(values), bits: [0])[0], heads: heads, keyHeads: heads),
          bits: [24])[0]
        return try builder.emit(.combine([Term(mix, 1 << 36)], constant: 0), bits: 60, bound: 1)
      }
    }
    let short = try outcome(capacity: 3)
    let long = try outcome(capacity: 7)
    #expect(short.parties == short.simulator)
    #expect(long.parties == long.simulator)
    #expect(short.parties == long.parties)
    #expect(short.parties[0].contains { $0 != 0 })
  }

  /// All rows of an encoder's text are permuted together, with those that it does not have.
  @Test func encodersPermuteTheWholeText() throws {
    let (width, rows) = (4, 3)
    let input = PrimitiveTests.inputs(count: rows * width, bits: 18)
    let function = PermutedFunction(
      .silu, opening: Opening(shift: 3, bits: 24), fractionalBits: 20, resultBits: 28)
    for capacity in [3, 7] {
      let session = SessionShape(kind: .encoder, promptCapacity: capacity, newCapacity: 0)
      let outcome = try PrimitiveTests.execute(
        kind: .encoder, width: width, session: session, steps: [input]
      ) { builder, x in
        builder.program.values[x.id].fractionalBits = 16
        let id = try builder.emit(.permuted(x.id, function), bits: [20])[0]
        return try builder.emit(.combine([Term(id, 1 << 36)], constant: 0), bits: 56, bound: 1)
      }
      #expect(outcome.parties == outcome.simulator)
      let program = outcome.run.program
      let cost = program.cost(of: SessionStep(session: session, rows: 0..<rows, index: 0))
      #expect(cost.permutedElementCount == capacity * width)
      let sent = outcome.run.channels.map { $0.rounds.reduce(0) { $0 + $1.count } }
      #expect(sent == cost.sentWordCounts)
      for (word, result) in zip(input, outcome.parties[0]) {
        let x = Self.real(word, bits: 16)
        #expect(abs(Self.real(result, bits: 56) - x / (1 + exp(-x))) < 0x1p-12)
      }
      // The same number in two rows goes to other places than in row by row permutations.
      let ranges = SessionStep.dealing(session).permutedRanges(program.values[0].shape, function)
      #expect(ranges.map(\.row) == [0] && ranges.map(\.elements) == [0..<capacity * width])
    }
  }

  /// What is out of range is cut to the largest number, and a row of the lowest numbers weighs nothing.
  @Test func extremesAreCut() {
    func results(_ rule: Rule, _ numbers: [Int64], bits: Int = 8) -> [Int64] {
      PermutedFunction(
        rule, opening: Opening(shift: 0, bits: 62), fractionalBits: 4, resultBits: bits
      ).results(numbers.map { UInt64(bitPattern: $0) }[...], inputBits: 2).map(
        Int64.init(bitPattern:))
    }
    let (low, high) = (-(Int64(1) << 61), Int64(1) << 61 - 1)
    #expect(results(.relu, [low, 1, high]) == [0, 4, 127])
    #expect(results(.exponential, [low, 0, high]) == [0, 16, 127])
    #expect(results(.exponential, [high], bits: 64) == [.max])
    #expect(results(.gelu, [low, high], bits: 64) == [0, .max])
    #expect(results(.silu, [low, high]) == [0, 127])
    #expect(results(.tanh, [low, high]) == [-16, 16])
    #expect(results(.softmax, [low, low]) == [0, 0])
    #expect(results(.softmax, [low + 1, high, low]) == [0, 16, 0])
    #expect(results(.softmax, [low + 1, low + 1]) == [8, 8])
    #expect(results(.rmsNorm(epsilon: 1), [0, 0]) == [0, 0])
  }

  /// Results of elements do not depend on the order of the others, and are the same bits on every
  /// machine.
  @Test func orderAndMachineDoNotMatter() {
    var digest: [UInt8] = []
    for rule in Self.rules {
      let function = PermutedFunction(
        rule, opening: Opening(shift: 0, bits: 40), fractionalBits: 40, resultBits: 60)
      let words = PrimitiveTests.inputs(count: 4096, bits: 23, salt: 7)
      let results = function.results(words[...], inputBits: 20)
      var random = SplitMix(1)
      let order = (0..<4096).shuffled(using: &random)
      let permuted = function.results(order.map { words[$0] }[...], inputBits: 20)
      #expect(permuted == order.map { results[$0] })
      digest += results.flatMap { word in
        (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
      }
    }
    let text = SHA256.digest(digest).prefix(8).map { String($0, radix: 16) }.joined()
    #expect(text == "db5249c5762e8da")
  }
}
