// Graphs of every kind in two parties: equal to the simulator, as costly as predicted, and close to
// float.

import Approximation
import Models
import Program
import TestSupport
import Testing

struct GraphKindTests {
  static var byBits: Recipe {
    var recipe = Recipe.accurate
    recipe.comparison = .bits
    return recipe
  }

  static func check(_ kind: GraphKind, _ difference: LogitDifference, _ converted: ConvertedGraph)
    throws
  {
    print("\(kind.name): \(difference), \(converted.program.rounds().max() ?? 0) rounds")
    #expect(difference.mean < 0.005)
    #expect(difference.maximum < 0.03)
  }

  /// A prompt and further tokens, past every window.
  @Test(arguments: GraphKind.norms + GraphKind.positions + GraphKind.skeletons)
  func decoders(kind: GraphKind) throws {
    let converted = try ConvertedGraph(TinyGraph(kind))
    let session = SessionShape(kind: .decoder, promptCapacity: 6, newCapacity: 6)
    let difference = try converted.compare(
      session, steps: [[2, 5, 1, 7, 3], [0], [9], [10], [4], [6]])
    try Self.check(kind, difference, converted)
  }

  /// Prompts as long as the session's, shorter, and without any context but the mask.
  @Test(arguments: GraphKind.prefixes) func prefixDecoders(kind: GraphKind) throws {
    let converted = try ConvertedGraph(TinyGraph(kind))
    let session = SessionShape(kind: .prefixDecoder, promptCapacity: 6, newCapacity: 6)
    for prompt in [[2, 5, 1, 7, 9, 10], [2, 5, 9, 10], [9, 10]] {
      let difference = try converted.compare(session, steps: [prompt, [0], [8], [4, 3], [6]])
      try Self.check(kind, difference, converted)
    }
  }

  /// Texts of the session's length and shorter.
  @Test(arguments: GraphKind.encoderPositions + GraphKind.heads)
  func encoders(kind: GraphKind) throws {
    let converted = try ConvertedGraph(TinyGraph(kind))
    let text = [2, 5, 1, 7, 3, 0, 9, 10, 4]
    for length in [1, 4, 9] {
      let session = SessionShape(kind: .encoder, promptCapacity: 9, newCapacity: 0)
      let difference = try converted.compare(session, steps: [Array(text[..<length])])
      try Self.check(kind, difference, converted)
    }
  }

  @Test func windowsByBits() throws {
    for kind in [GraphKind.positions[1], GraphKind.prefixes[1], GraphKind.encoderPositions[2]] {
      let converted = try ConvertedGraph(TinyGraph(kind), recipe: Self.byBits)
      let session = SessionShape(
        kind: kind.kind, promptCapacity: 7, newCapacity: kind.kind.isDecoder ? 3 : 0)
      let prompt = kind.contextMarkers == nil ? [2, 5, 1, 7, 3] : [2, 5, 1, 9, 10]
      _ = try converted.compare(
        session, steps: kind.kind.isDecoder ? [prompt, [4], [1]] : [prompt])
    }
  }

  /// Within the window nothing changes; beyond it rows open no more than the window's keys.
  @Test func aWindowCostsNothingAndSavesKeys() throws {
    func program(_ window: Int?) throws -> SecureProgram {
      try ConvertedGraph(TinyGraph(GraphKind("window") { $0.windows = [window, window] })).program
    }
    let (whole, wide, narrow) = (try program(nil), try program(12), try program(8))
    #expect(wide.json == whole.json)
    func cost(_ program: SecureProgram, _ row: Int) -> StepCost {
      program.cost(
        of: SessionStep(
          session: SessionShape(kind: .decoder, promptCapacity: 1, newCapacity: 12),
          rows: row..<row + 1, index: row))
    }
    for row in 0..<8 {
      // Sums of fewer keys are opened with fewer bits.
      #expect(cost(narrow, row).openedWordCount <= cost(whole, row).openedWordCount)
    }
    #expect(cost(narrow, 11).openedWordCount == cost(narrow, 7).openedWordCount)
    #expect(cost(narrow, 11).comparisonCount == cost(narrow, 7).comparisonCount)
    let session = SessionShape(kind: .decoder, promptCapacity: 8, newCapacity: 5)
    // Exponentials of scores are dealt for the keys that there are.
    #expect(
      narrow.correlationCost(of: session).seededWordCount
        < whole.correlationCost(of: session).seededWordCount)
    let fitting = SessionShape(kind: .decoder, promptCapacity: 8, newCapacity: 1)
    // Sums of fewer keys take shorter comparison keys.
    let (less, all) = (narrow.correlationCost(of: fitting), whole.correlationCost(of: fitting))
    #expect(less.keyCount == all.keyCount && less.seededWordCount == all.seededWordCount)
    #expect(less.keyByteCount <= all.keyByteCount)
  }
}
