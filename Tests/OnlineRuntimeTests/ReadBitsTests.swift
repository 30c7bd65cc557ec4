// Openings lose the bits that nobody reads, and results stay as they were.

import Models
import OnlineRuntime
import Program
import Sharing
import TestSupport
import Testing
import Validation

struct ReadBitsTests {
  private static func weight(_ builder: inout ProgramBuilder) -> WeightID {
    builder.weight(
      ProgramWeight(
        name: "w", rowCount: 8, columnCount: 8, fractionalBits: 0,
        source: WeightFormula(tensor: "w")))
  }

  private static func builder() -> (ProgramBuilder, FixedValue) {
    var builder = ProgramBuilder(
      program: SecureProgram(
        family: "test", kind: .decoder, clientInput: .embedding, vocabularySize: 1,
        maximumPositions: 64))
    let x = builder.input(width: 8, bits: 0, bound: 1)
    return (builder, x)
  }

  private static func outputs(_ program: SecureProgram) throws -> [UInt64] {
    try program.validate(source: "test")
    let run = try TwoPartyRun(
      program: program, weights: [PrimitiveTests.inputs(count: 64, bits: 10, salt: 5)],
      session: SessionShape(kind: .decoder, promptCapacity: 2, newCapacity: 1),
      seed: PrimitiveTests.seed, deployment: .providerUser)
    return try run.run([(PrimitiveTests.inputs(count: 16, bits: 6), 2)])[0]
  }

  /// What is seen of a product decides about its operand: 30 bits where nothing else reads that, and all
  /// where a square does.
  @Test(arguments: [false, true]) func operandsOfProducts(isSquared: Bool) throws {
    var (builder, x) = Self.builder()
    let opened = try builder.emit(.open(x.id), bits: [0])[0]
    let product = try builder.emit(
      .linear(opened, weight: Self.weight(&builder)), bits: [0])[0]
    let doubled = try builder.emit(.combine([Term(product, 4)], constant: 0), bits: [0])[0]
    let seen = try builder.emit(.open(doubled, Opening(shift: 0, bits: 32)), bits: [0])[0]
    let view = try builder.emit(.view(seen, shift: 0), bits: [0])[0]
    var result = try builder.emit(.truncate(view), bits: [0])[0]
    if isSquared {
      let square = try builder.emit(.polynomial(opened, coefficients: [[0, 0, 1]]), bits: [0])[0]
      result = try builder.emit(
        .combine([Term(result, 1), Term(square, 1)], constant: 0), bits: [0])[0]
    }
    _ = try builder.emit(.output(result), bits: [])
    let short = builder.program.withoutUnreadBits()
    let bits = isSquared ? 64 : 30
    #expect(short.nodes[1].operation == .open(0, Opening(shift: 0, bits: bits)))
    // Multiplied by four the product is known two bits further.
    #expect(
      short.values[product].ringBits == bits && short.values[doubled].ringBits == min(bits + 2, 64))
    #expect(try Self.outputs(short) == Self.outputs(builder.program))
  }

  /// A result of a permuted function that is opened whole stays so, and in silence; and it keeps the bits
  /// of its numbers, however few are read.
  @Test(arguments: [40, 5]) func resultsOfPermutedFunctions(outputBits: Int) throws {
    var (builder, x) = Self.builder()
    let relu = try builder.emit(
      .permuted(
        x.id,
        PermutedFunction(
          .relu, opening: Opening(shift: 0, bits: 20), fractionalBits: 4, resultBits: 64)),
      bits: [4])[0]
    let opened = try builder.emit(.open(relu), bits: [4])[0]
    let product = try builder.emit(
      .linear(opened, weight: Self.weight(&builder)), bits: [4])[0]
    _ = try builder.emit(.output(product, bits: outputBits), bits: [])
    let short = builder.program.withoutUnreadBits()
    #expect(short.values[relu].ringBits == max(outputBits, 20))
    #expect(short.values[opened].ringBits == max(outputBits, 20))
    #expect(short.silentOpenings == [2: 1])
    #expect(try Self.outputs(short) == Self.outputs(builder.program))
  }

  /// Numbers that party 1 could not be shown whole are told to who observes, with the bits that they
  /// may have.
  @Test func observersSeeOperandsOfPermutedFunctions() throws {
    var (builder, x) = Self.builder()
    let relu = try builder.emit(
      .permuted(
        x.id,
        PermutedFunction(
          .relu, opening: Opening(shift: 2, bits: 8), fractionalBits: 0, resultBits: 20)),
      bits: [0])[0]
    _ = try builder.emit(.output(relu, bits: 20), bits: [])
    var simulator = RingSimulator(
      program: builder.program,
      streams: (0...1).map { BatchSeeds(seed: PrimitiveTests.seed).streams(session: 0, party: $0) })
    let session = SessionShape(kind: .decoder, promptCapacity: 1, newCapacity: 1)
    let numbers: [Int64] = [0, 4, -4, 508, -512, 512, 1 << 40, -1 << 40]
    var seen: [(ValueID, [Int64], Int)] = []
    _ = simulator.step(
      SessionStep(session: session, rows: 0..<1, index: 0),
      input: numbers.map { UInt64(bitPattern: $0) },
      observe: { value, words, bits in
        if let bits { seen.append((value, words.map { Int64(bitPattern: $0) }, bits)) }
      })
    try #require(seen.count == 1)
    #expect(seen[0].0 == x.id && seen[0].2 == 8)
    #expect(seen[0].1 == numbers.map { $0 >> 2 })
  }
}
