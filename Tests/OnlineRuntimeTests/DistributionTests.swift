// What one party holds or sees is uniform for every fixed secret, over the choice of seeds.

import Correlations
import Models
import OnlineRuntime
import Program
import Randomness
import Sharing
import TestSupport
import Testing

struct DistributionTests {
  /// A program that opens its input, multiplies it by a weight, and truncates and compares it.
  static let program: SecureProgram = {
    var builder = ProgramBuilder(
      program: SecureProgram(
        family: "test", kind: .decoder, clientInput: .embedding, vocabularySize: 1,
        maximumPositions: 4))
    let x = builder.input(width: 1, bits: 0, bound: 1)
    do {
      let weight = builder.weight(
        ProgramWeight(
          name: "w", rowCount: 1, columnCount: 1, fractionalBits: 0, source: WeightFormula()))
      let product = try builder.emit(
        .linear(builder.open(x).id, weight: weight), bits: 0, bound: 1)
      let opened = try builder.open(product)
      let view = try builder.emit(.view(opened.id, shift: 7), bits: 0, bound: 1)
      let narrow = try builder.emit(.truncate(view.id), bits: 0, bound: 1)
      let square = try builder.emit(
        .polynomial(view.id, coefficients: [[0, 0, 1]]), bits: 0, bound: 1)
      let positive = try builder.emit(
        .piecewiseLinear(
          opened.id,
          PiecewiseLinear(
            shift: 0, droppedBits: 0, comparedBits: 20, knots: [0],
            outputs: [.init(slopes: [0, 1], intercepts: [0, 0], fractionalBits: 0)])),
        bits: [0])
      let step = try builder.emit(
        .piecewiseLinear(
          opened.id,
          PiecewiseLinear(
            shift: 3, droppedBits: 1, comparedBits: 20, knots: [0, 9],
            outputs: [.init(slopes: [0, 1, 2], intercepts: [0, 0, 0], fractionalBits: 0)],
            comparison: .bits)),
        bits: [0])
      let sum = try builder.emit(
        .combine(
          [Term(narrow.id, 1), Term(square.id, 1), Term(positive[0], 1), Term(step[0], 1)],
          constant: 0),
        bits: 0, bound: 1)
      _ = try builder.emit(.output(sum.id), bits: [])
    } catch { Issue.record(error) }
    return builder.program
  }()

  /// Runs the program under 4,096 batch seeds with the same weight and input each time.
  static func observe(weight: UInt64, input: UInt64) throws -> (
    stored: [[UInt8]], sent: [[UInt64]], keys: [[UInt8]]
  ) {
    var stored: [[UInt8]] = [[], []]
    var sent: [[UInt64]] = [[], []]
    var keys: [[UInt8]] = []
    let session = SessionShape(kind: .decoder, promptCapacity: 1, newCapacity: 1)
    for number in 0..<4096 {
      let seed = Seed(bytes: Array(SHA256.digest(Array("distribution \(number)".utf8))))
      let store = MemoryCorrelations()
      let batch = BatchSeeds(seed: seed)
      try Dealer(program: program, weights: [[weight]], batch: batch)
        .deal(session: 0, shape: session, into: store)
      for party in 0...1 {
        stored[party] += store.allBytes(party: party, of: program)
        // The opening of the input as this party sends it, its share of it being fixed.
        let mask = batch.streams(session: 0, party: party).mask(node: 1).words(at: 0, count: 1)[0]
        sent[party].append((party == 0 ? input : 0) &+ mask)
      }
      for index in program.nodes.indices { keys.append(store.storedKeys(node: index)) }
    }
    return (stored, sent, keys)
  }

  @Test(arguments: [(UInt64(0), UInt64(0)), (UInt64.max, 1 << 62), (0x0101_0101_0101_0101, 255)])
  func everythingOnePartyHasIsUniform(weight: UInt64, input: UInt64) throws {
    let seen = try Self.observe(weight: weight, input: input)
    for party in 0...1 {
      #expect(seen.stored[party].count >= 4096 * 3 * 2)
      #expect(Uniformity.chiSquare(seen.stored[party]) < Uniformity.limit)
      #expect(Uniformity.chiSquare(words: seen.sent[party]) < Uniformity.limit)
    }
    let keyBytes = seen.keys.flatMap { key in key.dropFirst(8) }
    #expect(keyBytes.count > 1_000_000)
    #expect(Uniformity.chiSquare(keyBytes) < Uniformity.limit)
  }
}
