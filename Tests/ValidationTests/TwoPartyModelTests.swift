// Whole models in two parties: equal to the simulator bit for bit, and as costly as predicted.

import Approximation
import Bytes
import Foundation
import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing
import Validation

struct TwoPartyModelTests {
  static let seed = SimulatedRun.seed

  /// Runs `tokens` in two parties and in the simulator, and checks results and costs of each step.
  static func compare(_ converted: ConvertedModel, _ session: SessionShape, steps: [[Int]]) throws
    -> TwoPartyRun
  {
    try SimulatedRun.compare(
      converted.program, converted.weights, session,
      steps: steps.map { (converted.oneHot($0), $0.count) }
    ).run
  }

  static func recipe(_ comparison: Recipe.Comparison) -> Recipe {
    var recipe = Recipe.accurate
    recipe.comparison = comparison
    return recipe
  }

  @Test func wholeFixture() throws {
    let converted = try ConvertedModel.fixture()
    let prompt = try ReferencePrompt.fixture()[1]
    let all = prompt.tokens + prompt.greedy
    let count = prompt.tokens.count
    let session = SessionShape(kind: .decoder, promptCapacity: count + 1, newCapacity: 4)
    let run = try Self.compare(
      converted, session,
      steps: [Array(all[..<count])] + (0..<3).map { [all[count + $0]] })

    // What a party sees and what its file holds is uniform, whatever the weights and the text.
    var opened: [UInt64] = []
    for (node, words) in run.openings.withLock({ $0 }).joined() {
      guard let opening = converted.program.sentOpening(node) else { continue }
      let value = converted.program.nodes[node].outputs.lowerBound
      let known = UInt64(converted.program.values[value].ringBits - opening.bits)
      var packed: [UInt64] = []
      opening.pack(words.map { $0 &>> known }, into: &packed)
      // The last word may end with zeros.
      opened += packed.dropLast()
    }
    #expect(opened.count > 100_000 && Uniformity.chiSquare(words: opened) < Uniformity.limit)
    for party in 0...1 {
      let sent = Self.fullWords(of: run.channels[party], run, converted.program)
      #expect(sent.count == opened.count && Uniformity.chiSquare(words: sent) < Uniformity.limit)
      let stored = run.correlations.allBytes(party: party, of: converted.program)
      #expect(stored.count > 500_000)
      #expect(Uniformity.chiSquare(stored) < Uniformity.limit)
    }
  }

  /// What one party sent, without the last word of every opening, which may end with zeros.
  static func fullWords(
    of channel: PairedChannel, _ run: TwoPartyRun, _ program: SecureProgram
  ) -> [UInt64] {
    let rounds = program.rounds()
    let sent = channel.rounds.joined().map { $0 }
    var (result, place): ([UInt64], Int) = ([], 0)
    for step in run.openings.withLock({ $0 }) {
      let nodes = step.keys.sorted {
        let (a, b) = (program.nodes[$0].outputs.lowerBound, program.nodes[$1].outputs.lowerBound)
        return (rounds[a], $0) < (rounds[b], $1)
      }
      for node in nodes {
        guard let opening = program.sentOpening(node) else { continue }
        let count = opening.wordCount(elements: step[node]?.count ?? 0)
        result += sent[place..<place + count].dropLast()
        place += count
      }
    }
    return result
  }

  /// With the same masks, comparisons by bits give the words that keys give.
  @Test func bitsGiveTheWordsOfKeys() throws {
    let prompt = try ReferencePrompt.fixture()[1].tokens
    let session = SessionShape(kind: .decoder, promptCapacity: prompt.count, newCapacity: 2)
    let outputs = try [Recipe.Comparison.keys, .bits].map { comparison in
      let converted = try ConvertedModel.fixture(recipe: Self.recipe(comparison))
      let run = try TwoPartyRun(
        program: converted.program, weights: converted.weights, session: session,
        seed: Self.seed)
      return try run.run([prompt, [prompt[0]]].map { (converted.oneHot($0), $0.count) })
    }
    #expect(outputs[0] == outputs[1])
    #expect(outputs[0][0].count == 2048)
  }

  /// ReLU by lookups opens less, has shorter keys, and is right to its resolution.
  @Test func lookupsStandForKeys() throws {
    let prompt = try ReferencePrompt.fixture()[1]
    let session = SessionShape(
      kind: .decoder, promptCapacity: prompt.tokens.count, newCapacity: 2)
    let runs = try [Recipe.Comparison.keys, .lookups].map { comparison in
      let converted = try ConvertedModel.fixture(recipe: Self.recipe(comparison))
      let run = try TwoPartyRun(
        program: converted.program, weights: converted.weights, session: session,
        seed: Self.seed)
      let outputs = try run.run([(converted.oneHot(prompt.tokens), prompt.tokens.count)])
      return (program: converted.program, logits: converted.decoded(outputs[0]))
    }
    func count(_ program: SecureProgram, _ isCounted: (Program.Operation) -> Bool) -> Int {
      program.nodes.count { $0.label.hasSuffix(".activation") && isCounted($0.operation) }
    }
    let counts = runs.map { run in
      count(run.program) { if case .lookup = $0 { true } else { false } }
    }
    #expect(counts == [0, 6])
    let dealt = runs.map { run in
      (0...1).reduce(0) { $0 + run.program.correlationCost(of: session).byteCount(party: $1) }
    }
    #expect(5 * dealt[1] < 4 * dealt[0], "\(dealt)")
    let sent = runs.map { $0.program.cost(of: session.lastStep).openedWordCount }
    #expect(100 * sent[1] < 97 * sent[0], "\(sent)")
    var difference = LogitDifference()
    difference.add(runs[0].logits, runs[1].logits)
    #expect(difference.maximum < 0.03, "\(difference)")
  }

  @Test(arguments: Recipe.Comparison.allCases)
  func smallDecoder(comparison: Recipe.Comparison) throws {
    let folder = try ScratchFolder()
    _ = try TinyCheckpoint.opt(layerCount: 2, width: 24, innerWidth: 40).write(to: folder)
    let texts = [[2, 5, 1, 7, 3, 3], [1, 1, 6, 2]]
    let converted = try ConvertedModel(
      path: folder.path, calibrationTexts: texts, recipe: Self.recipe(comparison))
    let session = SessionShape(kind: .decoder, promptCapacity: 4, newCapacity: 3)
    _ = try Self.compare(converted, session, steps: [[2, 5, 1], [3], [3]])
    _ = try Self.compare(converted, session, steps: [[1]])
  }

  @Test(arguments: [1, 3, 6], Recipe.Comparison.allCases)
  func smallEncoder(length: Int, comparison: Recipe.Comparison) throws {
    let folder = try ScratchFolder()
    _ = try TinyCheckpoint.bert(layerCount: 2, width: 24, innerWidth: 40).write(to: folder)
    let texts = [[2, 5, 1, 7, 3, 3], [1, 1, 6, 2], [3]]
    let converted = try ConvertedModel(
      path: folder.path, calibrationTexts: texts, recipe: Self.recipe(comparison))
    let session = SessionShape(kind: .encoder, promptCapacity: 6, newCapacity: 0)
    let tokens = Array(texts[0][..<length])
    _ = try Self.compare(converted, session, steps: [tokens])
    // And both stay close to the float model.
    let run = try TwoPartyRun(
      program: converted.program, weights: converted.weights, session: session, seed: Self.seed)
    let output = try run.run([(converted.oneHot(tokens), length)])[0]
    let reference = try converted.interpreter.run(tokens: tokens)
    var difference = LogitDifference()
    difference.add(converted.decoded(output), reference.values)
    #expect(difference.maximum < 0.02)
  }
}
