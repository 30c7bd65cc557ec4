// Sizes that programs and sessions may have: counted, or refused by name, and never a trap.

import Bytes
import Models
import Program
import TestSupport
import Testing

@Suite struct SizeLimitTests {
  /// Shapes from the smallest to the largest that the format takes, in programs that fit together.
  private struct ProgramSource {
    var random: SplitMix

    /// 2^`bits` at most, powers of two and their neighbours as often as not.
    mutating func size(_ bits: Int) -> Int {
      let power = 1 << Int.random(in: 0...bits, using: &random)
      return switch Int.random(in: 0..<3, using: &random) {
      case 0: power
      case 1: max(power - 1, 1)
      default: Int.random(in: 1...1 << bits, using: &random)
      }
    }

    mutating func program() throws -> SecureProgram {
      let kind: ModelKind = Bool.random(using: &random) ? .decoder : .encoder
      var builder = ProgramBuilder(
        program: SecureProgram(
          family: "test", kind: kind, clientInput: .embedding,
          vocabularySize: size(24), maximumPositions: size(20)))
      let heads = 1 << Int.random(in: 0...12, using: &random)
      let width = min(heads * size(12), 1 << 24)
      let input = builder.input(width: width, bits: 10, bound: 1)
      func shared(_ operation: Operation) throws -> ValueID {
        try builder.emit(operation, bits: [10])[0]
      }
      var values = [input.id]
      for step in 0..<Int.random(in: 1...8, using: &random) {
        let x = values[Int.random(in: 0..<values.count, using: &random)]
        let opened = try shared(.open(x))
        let kinds = 9
        var made: [ValueID]?
        switch Int.random(in: 0..<kinds, using: &random) {
        case 0:
          guard let columns = builder.shape(x).width else { continue }
          let rows = min(size(24), (1 << 32) / columns)
          let weight = builder.weight(
            ProgramWeight(
              name: "w\(step)", rowCount: rows, columnCount: columns, fractionalBits: 10,
              source: WeightFormula()))
          made = [try shared(.linear(opened, weight: weight))]
        case 1, 2:
          let window = Bool.random(using: &random) ? size(24) : nil
          guard
            let scores = try? shared(
              .scores(
                query: opened, key: opened, heads: heads, keyHeads: heads, window: window))
          else { continue }
          made = [scores]
          let weights = try shared(.open(shared(.padKeys(scores))))
          let rows = kind == .encoder ? try shared(.open(shared(.padRows(x)))) : opened
          made?.append(
            try shared(.mix(weights: weights, value: rows, heads: heads, keyHeads: heads)))
        case 3:
          made = try? [shared(.pairDifference(x))]
        case 4:
          let knots = size(10)
          let comparison: ComparisonProtocol = Bool.random(using: &random) ? .keys : .bits
          let levels = Int.random(in: 12...62, using: &random)
          made = [
            try shared(
              .piecewiseLinear(
                opened,
                PiecewiseLinear(
                  shift: Int.random(in: 0...1, using: &random), droppedBits: 0,
                  comparedBits: levels, knots: Array(0..<knots),
                  outputs: [
                    .init(
                      slopes: [Int](repeating: .max, count: knots + 1),
                      intercepts: [Int](repeating: .min, count: knots + 1), fractionalBits: 10)
                  ], comparison: comparison)))
          ]
        case 5:
          made = [
            try shared(
              .polynomial(opened, coefficients: [[UInt64](repeating: .max, count: 9)]))
          ]
        case 6: made = [try shared(.multiply(opened, opened))]
        case 7: made = try? [shared(.sum(x, runs: heads))]
        default: made = [try shared(.view(opened, shift: 3))].isEmpty ? nil : [x]
        }
        // Wider values than the format has do not come back from it.
        values += made ?? []
      }
      _ = try builder.emit(.output(values[values.count - 1]), bits: [])
      return builder.program
    }
  }

  /// What accepted programs and sessions count stays below the limit that was checked; what is
  /// refused says why. A number that overflows ends the process.
  @Test func countsOfAcceptedSessionsFit() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    for seed in [1, seed] { try countShapes(seed: seed, programs: 50) }
  }

  private func countShapes(seed: UInt64, programs: Int) throws {
    var source = ProgramSource(random: SplitMix(seed))
    var (accepted, refused) = (0, 0)
    for _ in 0..<programs {
      let json = try source.program().json
      let program: SecureProgram
      do {
        program = try SecureProgram(json: json, source: "forged")
      } catch {
        #expect(error.description.hasPrefix("forged"))
        refused += 1
        continue
      }
      let isDecoder = program.kind == .decoder
      // Long sessions take time of their own, with every row of scores counted.
      for positions in [1, program.maximumPositions] {
        let new = isDecoder ? Int.random(in: 1...positions, using: &source.random) : nil
        let prompt = positions - (new ?? 1) + 1
        do {
          let session = try SessionShape.requested(program: program, prompt: prompt, new: new)
          let correlations = program.correlationCost(of: session)
          let counts = [
            program.cost(of: .dealing(session)).productCount,
            program.cost(of: .dealing(session)).openedWordCount,
            correlations.byteCount(party: 0), correlations.byteCount(party: 1),
            correlations.seededWordCount,
          ]
          let sizes = program.correlationSizes(of: session).values
          #expect(
            (counts + sizes.map(\.minimumBitCount) + sizes.map { 8 * $0.storedByteCount })
              .allSatisfy { (0..<1 << 62).contains($0) }, "seed \(seed)")
          accepted += 1
        } catch {
          #expect(error.description.contains("takes more than 2^59 bytes"), "\(error)")
          refused += 1
        }
      }
    }
    #expect(accepted > programs / 2 && refused > 0, "seed \(seed): \(accepted), \(refused)")
  }

  /// The program of the report: 2^20 positions and 4096 heads.
  @Test(arguments: [ModelKind.decoder, .encoder]) func longestWidest(kind: ModelKind) throws {
    var builder = ProgramBuilder(
      program: SecureProgram(
        family: "test", kind: kind, clientInput: .embedding, vocabularySize: 1,
        maximumPositions: 1 << 20))
    var x = builder.input(width: 4096, bits: 10, bound: 1).id
    let opened = try builder.emit(.open(x), bits: [10])[0]
    x = try builder.emit(
      .scores(query: opened, key: opened, heads: 4096, keyHeads: 4096), bits: [10])[0]
    let scores = try builder.emit(.open(x), bits: [10])[0]
    x = try builder.emit(
      .piecewiseLinear(
        scores,
        PiecewiseLinear(
          shift: 1, droppedBits: 0, comparedBits: 62, knots: [0],
          outputs: [.init(slopes: [0, 1], intercepts: [0, 0], fractionalBits: 10)])),
      bits: [10])[0]
    _ = try builder.emit(.output(x), bits: [])
    let program = try SecureProgram(json: builder.program.json, source: "program")
    let isDecoder = kind == .decoder
    let error = try #require(throws: InputError.self) {
      try SessionShape.requested(program: program, prompt: 1 << 20, new: isDecoder ? 1 : nil)
    }
    #expect(
      error.description.hasPrefix(
        "--prompt: a session of 1048576 positions takes more than 2^59 bytes at operation 4 "))
    let short = try SessionShape.requested(program: program, prompt: 64, new: isDecoder ? 32 : nil)
    #expect(program.correlationCost(of: short).keyCount > 0)
  }
}
