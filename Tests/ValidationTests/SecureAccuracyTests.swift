// The accuracy that users get: two parties over TCP, from files, against the float models.

import Bytes
import Foundation
import Models
import OnlineRuntime
import Program
import TestSupport
import Testing
import Validation

@Suite(.serialized) struct SecureAccuracyTests {
  /// Every reference prompt that leaves room for 32 tokens: the greedy continuation is the plaintext
  /// model's, except where its two best logits are closer than 0.2.
  @Test func greedyTextOfTheFixture() throws {
    let path = Repository.fixtures.appending(path: "opt-dickens-5m").path
    let converted = try ConvertedFolder(
      path: path, calibrationTexts: TokenFile.read("\(path)/calibration.json"))
    let interpreter = try FloatInterpreter(ModelLoader.load(path: path))
    for prompt in try ReferencePrompt.fixture() where !prompt.greedy.isEmpty {
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
        #expect(result.newTokens[step] == continuation[step] || best[0] - best[1] < 0.2)
      }
      print("opt-dickens-5m, \(prompt.name): \(difference)")
      #expect(result.rows.count == 32)
      #expect(difference.mean <= 0.005)
      #expect(difference.maximum <= 0.12)
      // What the parties counted on the wire is what the shapes predict.
      var row = 0
      var rounds = 0
      var bytes = 0
      for (step, counters) in result.counters.enumerated() {
        let count = step == 0 ? prompt.tokens.count : 1
        let cost = converted.program.cost(
          of: SessionStep(session: shape, rows: row..<row + count, index: step))
        row += count
        rounds += cost.roundCount
        bytes += cost.byteCount(frameByteCount: Connection.frameHeaderByteCount)
        for party in [counters.party0, counters.party1] {
          #expect(party.rounds == rounds)
          #expect(party.bytesSent == bytes)
          #expect(party.bytesReceived == bytes)
        }
      }
      try converted.remove(correlations)
    }
  }

  @Test(.needsSharedModels) func embeddingsOfMiniLM() throws {
    guard let folder = Repository.sharedModels?.appending(path: "minilm-l6-v2") else { return }
    let prompts = try ReferencePrompt.read(folder.appending(path: "reference/prompts.json").path)
    let reference = try NPY.readFloats(folder.appending(path: "reference/embeddings.npy").path)
    let converted = try ConvertedFolder(
      path: folder.path, calibrationTexts: prompts.map(\.tokens))
    for (index, prompt) in prompts.enumerated() {
      let shape = SessionShape(
        kind: .encoder, promptCapacity: prompt.tokens.count, newCapacity: 0)
      let correlations = try converted.deal(prompt.name, sessions: 0..<1, shape: shape)
      let parties = try LocalParties(shares: converted.shares, correlations: correlations)
      defer { parties.stop() }
      let result = try parties.generate(prompt: prompt.tokens, newCount: 0)
      let expected = reference.values[index * 384..<(index + 1) * 384].map(Double.init)
      let cosine = Similarity.cosine(
        Similarity.meanPooled(result.rows.flatMap { $0 }, width: 384), expected)
      print("minilm-l6-v2, \(prompt.name): cosine \(cosine)")
      #expect(cosine >= 0.9999)
      try converted.remove(correlations)
    }
  }
}
