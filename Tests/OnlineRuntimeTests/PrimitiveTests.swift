// Every primitive in two parties against plain arithmetic, at random and edge values.

import Foundation
import Models
import OnlineRuntime
import Program
import Randomness
import Sharing
import TestSupport
import Testing
import Validation

/// A program of one primitive, run in two parties and in the simulator.
struct PrimitiveTests {
  static let seed = Seed(bytes: (0..<32).map { UInt8($0) })

  /// Random signed words below 2^bits in magnitude, after 0, 1, -1 and both extremes.
  static func inputs(count: Int, bits: Int, salt: UInt32 = 0) -> [UInt64] {
    let largest = (Int64(1) << Int64(bits)) - 1
    let edges = [0, 1, -1, largest, -largest].map { UInt64(bitPattern: $0) }
    let stream = RandomStream(
      seed: seed, label: StreamLabel(session: 0, party: 0, operation: salt, kind: 99, index: 0))
    let random = stream.words(at: 0, count: count).map { word in
      UInt64(bitPattern: Int64(bitPattern: word) >> Int64(63 - bits))
    }
    return Array((edges + random).prefix(count))
  }

  struct Outcome {
    var parties: [[UInt64]]
    var simulator: [[UInt64]]
    var run: TwoPartyRun
  }

  /// Builds a program on one input of `width` columns and runs its steps both ways.
  static func execute(
    kind: ModelKind = .decoder, width: Int, weights: [[UInt64]] = [],
    session: SessionShape? = nil, steps: [[UInt64]],
    build: (inout ProgramBuilder, FixedValue) throws -> FixedValue
  ) throws -> Outcome {
    var builder = ProgramBuilder(
      program: SecureProgram(
        family: "test", kind: kind, clientInput: .embedding, vocabularySize: 1,
        maximumPositions: 64))
    let input = builder.input(width: width, bits: 0, bound: 1)
    let output = try build(&builder, input)
    _ = try builder.emit(.output(output.id), bits: [])
    let program = builder.program
    try program.validate(source: "test")
    let counts = steps.map { $0.count / width }
    let shape =
      session
      ?? (kind == .decoder
        ? SessionShape(kind: kind, promptCapacity: counts[0], newCapacity: counts.count)
        : SessionShape(kind: kind, promptCapacity: counts[0], newCapacity: 0))
    let run = try TwoPartyRun(program: program, weights: weights, session: shape, seed: seed)
    let parties = try run.run(zip(steps, counts).map { ($0, $1) })
    var simulator = RingSimulator(
      program: program, weights: weights,
      streams: (0...1).map { run.batch.streams(session: 0, party: $0) })
    var simulated: [[UInt64]] = []
    var row = 0
    for (index, (words, count)) in zip(steps, counts).enumerated() {
      simulator.opened = run.openings.withLock { $0[index] }
      simulated.append(
        simulator.step(
          SessionStep(session: shape, rows: row..<row + count, index: index), input: words))
      row += count
    }
    return Outcome(parties: parties, simulator: simulated, run: run)
  }

  static func signed(_ word: UInt64) -> Int64 { Int64(bitPattern: word) }

  @Test(arguments: [1, 7, 16, 32, 61, 62])
  func truncation(shift: Int) throws {
    let input = Self.inputs(count: 64, bits: 61)
    let outcome = try Self.execute(width: 64, steps: [input]) { builder, x in
      let view = try builder.emit(
        .view(builder.open(x).id, shift: shift), bits: 0, bound: 1)
      return try builder.emit(.truncate(view.id), bits: 0, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    for (x, y) in zip(input, outcome.parties[0]) {
      let floor = Self.signed(x) >> Int64(shift)
      #expect(Self.signed(y) == floor || Self.signed(y) == floor + 1)
    }
  }

  @Test(arguments: [false, true])
  func linear(isTransposed: Bool) throws {
    let weight = Self.inputs(count: 12 * 20, bits: 30, salt: 5)
    let steps = [
      Self.inputs(count: 36, bits: 30), Self.inputs(count: 12, bits: 30, salt: 1),
    ]
    let outcome = try Self.execute(width: 12, weights: [weight], steps: steps) { builder, x in
      let id = builder.weight(
        ProgramWeight(
          name: "w", rowCount: isTransposed ? 12 : 20, columnCount: isTransposed ? 20 : 12,
          fractionalBits: 0, isTransposed: isTransposed, source: WeightFormula(tensor: "w")))
      return try builder.emit(.linear(builder.open(x).id, weight: id), bits: 0, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    for (words, result) in zip(steps, outcome.parties) {
      for row in 0..<words.count / 12 {
        for output in 0..<20 {
          let expected = (0..<12).reduce(UInt64(0)) { sum, index in
            let element = isTransposed ? index * 20 + output : output * 12 + index
            return sum &+ words[row * 12 + index] &* weight[element]
          }
          #expect(result[row * 20 + output] == expected)
        }
      }
    }
  }

  @Test func scaleAndWeights() throws {
    let vector = Self.inputs(count: 8, bits: 40, salt: 2)
    let table = Self.inputs(count: 8 * 66, bits: 62, salt: 3)
    let steps = [Self.inputs(count: 24, bits: 20), Self.inputs(count: 8, bits: 20, salt: 9)]
    let outcome = try Self.execute(width: 8, weights: [vector, table], steps: steps) {
      builder, x in
      let scale = builder.weight(
        ProgramWeight(
          name: "s", rowCount: 1, columnCount: 8, fractionalBits: 0, source: WeightFormula()))
      let rows = builder.weight(
        ProgramWeight(
          name: "t", rowCount: 66, columnCount: 8, fractionalBits: 0, source: WeightFormula()))
      let scaled = try builder.emit(
        .scale(builder.open(x).id, weight: scale), bits: 0, bound: 1)
      return try builder.emit(
        .addWeight(scaled.id, weight: rows, rows: .positions(offset: 2)), bits: 0, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    var position = 0
    for (words, result) in zip(steps, outcome.parties) {
      for (index, word) in words.enumerated() {
        let row = position + index / 8 + 2
        #expect(result[index] == word &* vector[index % 8] &+ table[row * 8 + index % 8])
      }
      position += words.count / 8
    }
  }

  @Test(arguments: [0, 9], [0, 13])
  func multiply(leftShift: Int, rightShift: Int) throws {
    // Columns 0..<12 times the sums of the two halves, so that each sum serves six columns.
    let input = Self.inputs(count: 60, bits: 40)
    let outcome = try Self.execute(width: 12, steps: [input]) { builder, x in
      let sums = try builder.emit(.sum(x.id, runs: 2), bits: 0, bound: 1)
      func side(_ value: FixedValue, _ shift: Int) throws -> ValueID {
        let opened = try builder.open(value)
        return shift == 0
          ? opened.id : try builder.emit(.view(opened.id, shift: shift), bits: 0, bound: 1).id
      }
      return try builder.emit(
        .multiply(side(x, leftShift), side(sums, rightShift)), bits: 0, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    for (index, result) in outcome.parties[0].enumerated() {
      let run = index / 6 * 6
      let sum = input[run..<run + 6].reduce(0, &+)
      let left = Self.signed(input[index]) >> Int64(leftShift)
      let right = Self.signed(sum) >> Int64(rightShift)
      let candidates = [left, left + (leftShift > 0 ? 1 : 0)].flatMap { x in
        [right, right + (rightShift > 0 ? 1 : 0)].map { x &* $0 }
      }
      #expect(candidates.contains(Self.signed(result)))
    }
  }

  @Test(arguments: [0, 20], [1, 2, 3, 4, 6, 8])
  func polynomial(shift: Int, degree: Int) throws {
    let input = Self.inputs(count: 40, bits: 50)
    let first = Self.inputs(count: degree + 1, bits: 60, salt: 4)
    let second: [UInt64] = [0, 1]
    let outcome = try Self.execute(width: 40, steps: [input]) { builder, x in
      var id = try builder.open(x).id
      if shift > 0 { id = try builder.emit(.view(id, shift: shift), bits: 0, bound: 1).id }
      let results = try builder.emit(
        .polynomial(id, coefficients: [first, second]), bits: [0, 0])
      return try builder.emit(
        .combine([Term(results[0], 1), Term(results[1], 3)], constant: 7), bits: 0, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    for (x, result) in zip(input, outcome.parties[0]) {
      let floor = Self.signed(x) >> Int64(shift)
      let candidates = [floor, shift > 0 ? floor + 1 : floor].map { argument in
        let y = UInt64(bitPattern: argument)
        return first.reversed().reduce(0) { $0 &* y &+ $1 } &+ 3 &* y &+ 7
      }
      #expect(candidates.contains(result))
    }
  }

  @Test(arguments: [0, 5, 40], ComparisonProtocol.allCases)
  func piecewiseLinear(shift: Int, comparison: ComparisonProtocol) throws {
    // Three knots, two functions; 50-bit values, 44 of the bits compared.
    let knots = [-(1 << 44), 0, 3 << 43]
    let input =
      Self.inputs(count: 44, bits: 48)
      + knots.flatMap { knot in [-100, -1, 0, 1, 100].map { UInt64(bitPattern: Int64(knot + $0)) } }
    let function = PiecewiseLinear(
      shift: shift, droppedBits: 6, comparedBits: 44, knots: knots,
      outputs: [
        .init(slopes: [0, 0, 1, 1], intercepts: [0, 0, 0, 0], fractionalBits: 0),
        .init(slopes: [-1, 5, -3, 0], intercepts: [11, -22, 33, 44], fractionalBits: 0),
      ], comparison: comparison)
    for chosen in 0..<2 {
      let outcome = try Self.execute(width: input.count, steps: [input]) { builder, x in
        let results = try builder.emit(
          .piecewiseLinear(builder.open(x).id, function), bits: [0, 0])
        return FixedValue(id: results[chosen], bits: 0, bound: 1)
      }
      #expect(outcome.parties == outcome.simulator)
      let output = function.outputs[chosen]
      for (x, result) in zip(input, outcome.parties[0]) {
        let value = Int(Self.signed(x))
        // Within 2^droppedBits of a knot either side may be taken.
        let pieces = [-64, 0, 64].map { nudge in
          knots.firstIndex { value + nudge < $0 } ?? knots.count
        }
        var candidates: [Int] = []
        for piece in pieces {
          for carry in 0...(shift > 0 ? 1 : 0) {
            let argument = (value >> shift) + carry
            candidates.append(argument * output.slopes[piece] + output.intercepts[piece])
          }
        }
        #expect(candidates.contains(Int(Self.signed(result))), "x = \(value)")
      }
    }
  }

  @Test(arguments: [RotaryLayout.halves, .pairs])
  func rotation(layout: RotaryLayout) throws {
    let rotation = Rotation(
      headCount: 2, fractionalBits: 16,
      RotaryPositions(base: 100, dimensions: 4, layout: layout))
    let steps = [Self.inputs(count: 36, bits: 20), Self.inputs(count: 12, bits: 20, salt: 3)]
    let outcome = try Self.execute(width: 12, steps: steps) { builder, x in
      try builder.emit(.rotate(x.id, rotation), bits: 0, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    var position = 0
    for (words, result) in zip(steps, outcome.parties) {
      for row in 0..<words.count / 12 {
        for head in 0..<2 {
          let start = row * 12 + head * 6
          for pair in 0..<2 {
            let (i, j) = layout == .pairs ? (2 * pair, 2 * pair + 1) : (pair, pair + 2)
            let angle = Double(position) * (pair == 0 ? 1 : 0.1)
            let a = Double(Self.signed(words[start + i]))
            let b = Double(Self.signed(words[start + j]))
            let exact = [a * cos(angle) - b * sin(angle), b * cos(angle) + a * sin(angle)]
            for (column, value) in zip([i, j], exact) {
              // Factors are rounded to 2^-17.
              let found = Double(Self.signed(result[start + column])) / 65536
              #expect(abs(found - value) <= (abs(a) + abs(b)) * 0x1.01p-17)
            }
          }
          for column in 4..<6 { #expect(result[start + column] == words[start + column] << 16) }
        }
        position += 1
      }
    }
  }

  /// The integer sine is what libm gives, to the last bits of a double.
  @Test func rotationFactorsAreExact() {
    let rotation = Rotation(
      headCount: 1, fractionalBits: 30,
      RotaryPositions(base: 10_000, dimensions: 64, layout: .pairs))
    for position in [0, 1, 2, 3, 100, 4095, 131_071] {
      for pair in 0..<32 {
        let angle = Double(position) * pow(10_000, -2 * Double(pair) / 64)
        let factors = rotation.factors(position: position, pair: pair)
        #expect(abs(Double(Self.signed(factors.cosine)) / 0x1p30 - cos(angle)) < 0x1.1p-31)
        #expect(abs(Double(Self.signed(factors.sine)) / 0x1p30 - sin(angle)) < 0x1.1p-31)
      }
    }
  }
}
