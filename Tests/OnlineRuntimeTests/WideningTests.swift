// Openings that are widened: more bits of the same number, under more bits of the same mask.

import Models
import OnlineRuntime
import Program
import Randomness
import Sharing
import TestSupport
import Testing
import Validation

struct WideningTests {
  /// Opens `bits` bits above bit `shift` of rows of 12 numbers, widens them, and multiplies them by
  /// a weight in the wide ring.
  static func program(shift: Int, bits: Int, wide: Int, ofView: Bool) throws -> SecureProgram {
    var builder = ProgramBuilder(
      program: SecureProgram(
        family: "test", kind: .decoder, clientInput: .embedding, vocabularySize: 1,
        maximumPositions: 64))
    let x = builder.input(width: 12, bits: 0, bound: 1)
    let id = builder.weight(
      ProgramWeight(
        name: "w", rowCount: 1, columnCount: 12, fractionalBits: 0, source: WeightFormula()))
    var seen = try builder.emit(.open(x.id, Opening(shift: shift, bits: bits)), bits: [0])[0]
    let opened = seen
    if ofView { seen = try builder.emit(.view(opened, shift: 0), bits: [0])[0] }
    let widened = try builder.emit(.widen(seen, bits: wide), bits: [0])[0]
    #expect(builder.program.values[widened].ringBits == wide)
    let scaled = try builder.emit(.scale(widened, weight: id), bits: [0])[0]
    _ = try builder.emit(.output(scaled, bits: wide), bits: [])
    try builder.program.validate(source: "test")
    return builder.program
  }

  @Test(
    arguments: [(0, 5, 7), (0, 20, 38), (9, 24, 42), (19, 22, 56), (36, 21, 64), (0, 62, 64)],
    [false, true])
  func numbersStayWhatTheyAre(_ sizes: (shift: Int, bits: Int, wide: Int), ofView: Bool) throws {
    let program = try Self.program(
      shift: sizes.shift, bits: sizes.bits, wide: sizes.wide, ofView: ofView)
    let weight = PrimitiveTests.inputs(count: 12, bits: 30, salt: 5)
    let steps = [(36, 0), (12, 1)].map { count, salt in
      PrimitiveTests.inputs(count: count, bits: sizes.bits + sizes.shift - 2, salt: salt)
        .map {
          sizes.shift > 0 && Int64(bitPattern: $0) > 0 ? $0 &- (1 &<< UInt64(sizes.shift)) : $0
        }
    }
    let session = SessionShape(kind: .decoder, promptCapacity: 3, newCapacity: 2)
    for deployment in Deployment.allCases {
      let run = try TwoPartyRun(
        program: program, weights: [weight], session: session, seed: PrimitiveTests.seed,
        deployment: deployment)
      let results = try run.run(steps.map { ($0, $0.count / 12) })
      var simulator = RingSimulator(
        program: program, weights: [weight],
        streams: (0...1).map { run.batch.streams(session: 0, party: $0) })
      var row = 0
      for (index, (words, result)) in zip(steps, results).enumerated() {
        let openings = run.openings.withLock { $0[index] }
        simulator.opened = openings
        let count = words.count / 12
        let simulated = simulator.step(
          SessionStep(session: session, rows: row..<row + count, index: index), input: words)
        row += count
        let known = Opening(shift: 0, bits: sizes.wide)
        #expect(result.map(known.reduced) == simulated.map(known.reduced))
        for (place, word) in words.enumerated() {
          let floor = UInt64(bitPattern: Int64(bitPattern: word) >> Int64(sizes.shift))
          let allowed = [floor, floor &+ 1].map { known.reduced($0 &* weight[place % 12]) }
          #expect(allowed.prefix(sizes.shift == 0 ? 1 : 2).contains(known.reduced(result[place])))
        }
        // The bits that were opened already are opened again.
        let (narrow, wide) = (openings[1] ?? [], openings[ofView ? 3 : 2] ?? [])
        #expect(narrow.count == words.count && wide.count == words.count)
        let low = Opening(shift: 0, bits: sizes.bits)
        #expect(wide.map(low.reduced) == narrow.map(low.reduced))
      }
    }
  }

  /// Both openings together are uniform for every number.
  @Test(arguments: [false, true], [UInt64(0), 0x3fff, UInt64(bitPattern: -0x2001)])
  func whatIsOpenedIsUniform(ofView: Bool, number: UInt64) throws {
    let program = try Self.program(shift: 0, bits: 16, wide: 32, ofView: ofView)
    let session = SessionShape(kind: .decoder, promptCapacity: 64, newCapacity: 1)
    let words = [UInt64](repeating: number, count: 64 * 12)
    var bytes: [UInt8] = []
    var sums: [UInt8] = []
    for salt in 0..<24 {
      let run = try TwoPartyRun(
        program: program, weights: [[UInt64](repeating: 1, count: 12)], session: session,
        seed: Seed(bytes: Array(SHA256.digest(Array("widening \(salt)".utf8)))))
      _ = try run.run([(words, 64)])
      let wide = run.openings.withLock { $0[0][ofView ? 3 : 2] ?? [] }
      for word in wide {
        bytes += (0..<4).map { UInt8(truncatingIfNeeded: word &>> UInt64(8 * $0)) }
        // Neither part tells of the other.
        sums.append(UInt8(truncatingIfNeeded: (word &>> 8) &- (word &>> 24)))
        sums.append(UInt8(truncatingIfNeeded: word &- (word &>> 16)))
      }
    }
    #expect(bytes.count == 24 * 64 * 12 * 4)
    #expect(Uniformity.chiSquare(bytes) < Uniformity.limit)
    #expect(Uniformity.chiSquare(sums) < Uniformity.limit)
  }
}
