// The accuracy that users get: two parties over TCP, from files, against the float models.

import Approximation
import Bytes
import Foundation
import Models
import OnlineRuntime
import Program
import TestSupport
import Testing
import Validation

@Suite(.serialized) struct SecureAccuracyTests {
  /// Every reference prompt that leaves room for 32 tokens: the greedy continuation is the
  /// plaintext model's, except where its two best logits are closer than `margin`.
  static func compareGreedyText(
    path: String, calibrationTexts: [[Int]], prompts: [ReferencePrompt],
    recipe: Recipe = .accurate, margin: Float, mean: Double, maximum: Double
  ) throws {
    let converted = try ConvertedFolder(
      path: path, calibrationTexts: calibrationTexts, recipe: recipe)
    let interpreter = try FloatInterpreter(ModelLoader.load(path: path))
    for prompt in prompts where !prompt.greedy.isEmpty {
      let shape = SessionShape(
        kind: .decoder, promptCapacity: prompt.tokens.count, newCapacity: 32)
      let correlations = try converted.deal(prompt.name, sessions: 0..<1, shape: shape)
      let parties = try LocalParties(shares: converted.shares, correlations: correlations)
      defer { parties.stop() }
      let continuation = Array(prompt.greedy.prefix(32))
      let result = try parties.generate(
        prompt: prompt.tokens, newCount: 32, forced: continuation)
      let reference = try interpreter.run(tokens: prompt.tokens + continuation.dropLast())
      var difference = LogitDifference()
      for (step, row) in result.rows.enumerated() {
        let exact = Array(reference.row(prompt.tokens.count - 1 + step))
        difference.add(row, exact)
        let best = exact.sorted(by: >)
        #expect(result.newTokens[step] == continuation[step] || best[0] - best[1] < margin)
      }
      print("\(FilePaths.lastComponent(of: path)), \(prompt.name): \(difference)")
      #expect(result.rows.count == 32)
      #expect(difference.mean <= mean)
      #expect(difference.maximum <= maximum)
      // What the parties counted on the wire is what the shapes predict.
      var row = 0
      var rounds = 0
      var bytes = [0, 0]
      for (step, counters) in result.counters.enumerated() {
        let count = step == 0 ? prompt.tokens.count : 1
        let cost = converted.program.cost(
          of: SessionStep(session: shape, rows: row..<row + count, index: step))
        row += count
        rounds += cost.roundCount
        for (party, counted) in [counters.party0, counters.party1].enumerated() {
          bytes[party] += cost.byteCount(
            party: party, frameByteCount: Connection.frameHeaderByteCount)
          #expect(counted.rounds == rounds)
          #expect(counted.bytesSent == bytes[party])
        }
        #expect([counters.party1, counters.party0].map(\.bytesReceived) == bytes)
      }
      try converted.remove(correlations)
    }
  }

  @Test func greedyTextOfTheFixture() throws {
    let path = Repository.fixtures.appending(path: "opt-dickens-5m").path
    try Self.compareGreedyText(
      path: path, calibrationTexts: TokenFile.read("\(path)/calibration.json"),
      prompts: ReferencePrompt.fixture(), margin: 0.2, mean: 0.005, maximum: 0.12)
  }

  @Test(.needsSharedModels, arguments: ["stories260k", "gpt2-dickens-6m"])
  func greedyTextOfOtherFamilies(name: String) throws {
    guard let path = Repository.sharedModels?.appending(path: name).path else { return }
    let prompts = try ReferencePrompt.read("\(path)/reference/prompts.json")
    try Self.compareGreedyText(
      path: path, calibrationTexts: prompts.map { $0.tokens + $0.greedy }, prompts: prompts,
      margin: 0.3, mean: 0.015, maximum: 0.2)
  }

  /// Permuted functions are exact: what is left is the rounding of weights and activations.
  @Test func permutedTextOfTheFixture() throws {
    let path = Repository.fixtures.appending(path: "opt-dickens-5m").path
    for name in ["permllm", "elements"] {
      try Self.compareGreedyText(
        path: path, calibrationTexts: TokenFile.read("\(path)/calibration.json"),
        prompts: Array(ReferencePrompt.fixture().prefix(name == "permllm" ? 3 : 1)),
        recipe: #require(Recipe.shipped(name)), margin: 0.02, mean: 2e-3, maximum: 0.02)
    }
  }

  @Test(.needsSharedModels, arguments: ["stories260k", "gpt2-dickens-6m"])
  func permutedTextOfOtherFamilies(name: String) throws {
    guard let path = Repository.sharedModels?.appending(path: name).path else { return }
    let prompts = try ReferencePrompt.read("\(path)/reference/prompts.json")
    try Self.compareGreedyText(
      path: path, calibrationTexts: prompts.map { $0.tokens + $0.greedy },
      prompts: Array(prompts.prefix(2)), recipe: #require(Recipe.shipped("permllm")),
      margin: 0.02, mean: 2e-3, maximum: 0.02)
  }

  @Test(.needsSharedModels, arguments: ["accurate", "permllm"])
  func embeddingsOfMiniLM(recipe: String) throws {
    guard let folder = Repository.sharedModels?.appending(path: "minilm-l6-v2") else { return }
    let prompts = try ReferencePrompt.read(folder.appending(path: "reference/prompts.json").path)
    let reference = try NPY.readFloats(folder.appending(path: "reference/embeddings.npy").path)
    let converted = try ConvertedFolder(
      path: folder.path, calibrationTexts: prompts.map(\.tokens),
      recipe: #require(Recipe.shipped(recipe)))
    for (index, prompt) in prompts.enumerated() {
      // A text that is shorter than its session has keys that are not there.
      let shape = SessionShape(
        kind: .encoder, promptCapacity: prompt.tokens.count + index % 2, newCapacity: 0)
      let correlations = try converted.deal(prompt.name, sessions: 0..<1, shape: shape)
      let parties = try LocalParties(shares: converted.shares, correlations: correlations)
      defer { parties.stop() }
      let result = try parties.generate(prompt: prompt.tokens, newCount: 0)
      let expected = reference.values[index * 384..<(index + 1) * 384].map(Double.init)
      let cosine = Similarity.cosine(
        Similarity.meanPooled(result.rows.flatMap { $0 }, width: 384), expected)
      print("minilm-l6-v2, \(recipe), \(prompt.name): cosine \(cosine)")
      #expect(cosine >= (recipe == "permllm" ? 0.999_999 : 0.9999))
      try converted.remove(correlations)
    }
  }
}
