// Programs with forged numbers: refused by name, or counted and simulated without a trap.

import Bytes
import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing
import Validation

@Suite struct ForgedNumberTests {
  /// Ends of types and of ranges that the format gives, and what lies beyond them.
  private static let numbers: [Int] = {
    var numbers: [Int] = [.min, .min + 1, -1, 0, 2, 3, 63, 64, 65, .max - 1, .max]
    for exponent in [0, 1, 8, 12, 16, 20, 24, 28, 31, 32, 40, 61, 62] {
      let power = 1 << exponent
      numbers += [power - 1, power, -power]
    }
    return numbers
  }()

  /// `json` with the integer number `target` of it, counted in order, replaced by `value`; counts
  /// down to it.
  private func replacing(_ json: JSON, _ target: inout Int, by value: Int) -> JSON {
    switch json {
    case .integer:
      target -= 1
      return target == -1 ? .integer(value) : json
    case .array(let elements): return .array(elements.map { replacing($0, &target, by: value) })
    case .object(let members):
      var result = members
      for key in members.keys.sorted() {
        result[key] = members[key].map { replacing($0, &target, by: value) }
      }
      return .object(result)
    case .null, .bool, .number, .string: return json
    }
  }

  private func integerCount(_ json: JSON) -> Int {
    var rest = Int.max
    _ = replacing(json, &rest, by: 0)
    return Int.max - rest
  }

  @Test func countedOrRefused() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    for program in [try Programs.decoder(), try Programs.encoder(), try Programs.grouped()] {
      for seed in [1, seed] { try forge(program.json, seed: seed, times: 250) }
    }
  }

  private func forge(_ json: JSON, seed: UInt64, times: Int) throws {
    var random = SplitMix(seed)
    let count = integerCount(json)
    var accepted = 0
    for _ in 0..<times {
      var target = Int.random(in: 0..<count, using: &random)
      let value = Self.numbers[Int.random(in: 0..<Self.numbers.count, using: &random)]
      let forged = replacing(json, &target, by: value)
      let program: SecureProgram
      do {
        program = try SecureProgram(json: forged, source: "forged")
      } catch {
        #expect(error.description.hasPrefix("forged: "), "seed \(seed): \(error)")
        continue
      }
      accepted += 1
      // A session of all positions that are few, and of few of many.
      let positions = min(program.maximumPositions, 6)
      let isDecoder = program.kind == .decoder
      guard
        let session = try? SessionShape.requested(
          program: program, prompt: max(positions - 1, 1), new: isDecoder ? 2 : nil),
        program.weights.reduce(0, { $0 + $1.elementCount }) < 1 << 16
      else { continue }
      _ = program.correlationCost(of: session)
      _ = program.correlationSizes(of: session)
      _ = program.cost(of: .dealing(session))
      let batch = BatchSeeds(seed: Seed(bytes: [UInt8](repeating: 3, count: 32)))
      var simulator = RingSimulator(
        program: program,
        weights: program.weights.map { random.words($0.elementCount) },
        streams: (0...1).map { batch.streams(session: 0, party: $0) })
      let step = SessionStep(session: session, rows: 0..<session.promptCapacity, index: 0)
      let width = program.inputValue?.shape.width ?? 0
      let output = simulator.step(step, input: random.words(step.rows.count * width))
      #expect(!output.isEmpty, "seed \(seed)")
    }
    #expect(accepted > times / 10 && accepted < times, "seed \(seed): \(accepted)")
  }
}
