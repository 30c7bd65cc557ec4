// Whole models in the fixed-point simulator against their float references.

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

struct FixtureSimulationTests {
  static let batch = BatchSeeds(seed: Seed(bytes: [UInt8](repeating: 7, count: 32)))

  static func simulator(_ converted: ConvertedModel) -> RingSimulator {
    RingSimulator(
      program: converted.program, weights: converted.weights,
      streams: (0...1).map { batch.streams(session: 0, party: $0) })
  }

  @Test func logitsOfTheFixtureStayClose() throws {
    let converted = try ConvertedModel.fixture()
    for prompt in try ReferencePrompt.fixture() where !prompt.greedy.isEmpty {
      let session = SessionShape(
        kind: .decoder, promptCapacity: prompt.tokens.count, newCapacity: 32)
      var simulator = Self.simulator(converted)
      let all = prompt.tokens + prompt.greedy
      let reference = try converted.interpreter.run(
        tokens: Array(all.prefix(prompt.tokens.count + 31)))
      var difference = LogitDifference()
      var row = 0
      for step in 0..<32 {
        let count = step == 0 ? prompt.tokens.count : 1
        let output = simulator.step(
          SessionStep(session: session, rows: row..<row + count, index: step),
          input: converted.oneHot(Array(all[row..<row + count])))
        row += count
        difference.add(converted.decoded(output), reference.row(row - 1))
      }
      print("\(prompt.name): \(difference)")
      #expect(difference.mean <= 0.001)
      #expect(difference.maximum <= 0.012)
    }
  }

  /// Scores that no exponential is dealt for are seen as an overflow; those of a text are not.
  @Test func scoresOutsideOfTheirCellsAreSeen() throws {
    let converted = try ConvertedModel.fixture()
    var narrow = converted.program
    for (index, node) in narrow.nodes.enumerated() {
      guard case .exponential(let x, var function) = node.operation else { continue }
      // Below all scores.
      function.tops = function.tops.map { _ in -(1 << 16) }
      narrow.nodes[index].operation = .exponential(x, function)
    }
    for (program, isSeen) in [(converted.program, false), (narrow, true)] {
      var simulator = RingSimulator(
        program: program, weights: converted.weights,
        streams: (0...1).map { Self.batch.streams(session: 0, party: $0) })
      var largest: Set<ValueID> = []
      _ = simulator.step(
        SessionStep(
          session: SessionShape(kind: .decoder, promptCapacity: 3, newCapacity: 1), rows: 0..<3,
          index: 0), input: converted.oneHot([1, 2, 3]),
        observe: { value, words, _ in
          if words.contains(UInt64(Int64.max)) { largest.insert(value) }
        })
      #expect(largest.isEmpty != isSeen)
    }
  }

  @Test(.needsSharedModels) func embeddingsOfMiniLMStayClose() throws {
    guard let folder = Repository.sharedModels?.appending(path: "minilm-l6-v2") else { return }
    let prompts = try ReferencePrompt.read(folder.appending(path: "reference/prompts.json").path)
    let reference = try NPY.readFloats(folder.appending(path: "reference/embeddings.npy").path)
    let converted = try ConvertedModel(
      path: folder.path, calibrationTexts: prompts.map(\.tokens))
    for (index, prompt) in prompts.enumerated() {
      let session = SessionShape(
        kind: .encoder, promptCapacity: prompt.tokens.count, newCapacity: 0)
      var simulator = Self.simulator(converted)
      let output = simulator.step(
        SessionStep(session: session, rows: 0..<prompt.tokens.count, index: 0),
        input: converted.oneHot(prompt.tokens))
      let hidden = converted.decoded(output)
      let expected = reference.values[index * 384..<(index + 1) * 384].map(Double.init)
      let cosine = Similarity.cosine(Similarity.meanPooled(hidden, width: 384), expected)
      print("\(prompt.name): cosine \(cosine)")
      #expect(cosine >= 0.9999)
    }
  }

  /// A recipe that names cells gets them in an encoder too, whose residual sums leave a result of
  /// cells too few bits: it is shortened.
  @Test(.needsSharedModels) func miniLMLooksItsActivationsUp() throws {
    guard let folder = Repository.sharedModels?.appending(path: "minilm-l6-v2") else { return }
    let prompts = try ReferencePrompt.read(folder.appending(path: "reference/prompts.json").path)
    let recipe = try Recipe(
      json: ["name": "cells", "gelu": "cells"], source: "recipe")
    let converted = try ConvertedModel(
      path: folder.path, calibrationTexts: prompts.map(\.tokens), recipe: recipe)
    let lookups = converted.program.nodes.filter { node in
      if case .lookup = node.operation { return true }
      return false
    }
    #expect(lookups.count == 6)
    let prompt = prompts[0]
    var simulator = Self.simulator(converted)
    let output = simulator.step(
      SessionStep(
        session: SessionShape(
          kind: .encoder, promptCapacity: prompt.tokens.count, newCapacity: 0),
        rows: 0..<prompt.tokens.count, index: 0),
      input: converted.oneHot(prompt.tokens))
    let reference = try NPY.readFloats(folder.appending(path: "reference/embeddings.npy").path)
    let expected = reference.values[0..<384].map(Double.init)
    let cosine = Similarity.cosine(
      Similarity.meanPooled(converted.decoded(output), width: 384), expected)
    #expect(cosine >= 0.9999)
  }
}
