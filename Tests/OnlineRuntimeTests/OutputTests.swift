// What a client makes of outputs that are not logits: what it is told, and what it prints.

import Bytes
import Foundation
import Models
import OnlineRuntime
import Program
import Testing

struct OutputTests {
  /// Both parties tell a client the same, and it applies the cap.
  @Test(arguments: [
    OutputDescription(meaning: .logits, softCap: 0.25), OutputDescription(meaning: .logits),
  ])
  func clientsAreToldTheOutput(output: OutputDescription) throws {
    let folder = try TemporaryFolder()
    let providers = (0..<2).map { party in
      var provider = FakeProvider(party: party)
      provider.identity.output = output
      provider.identity.outputFractionalBits = 4
      return provider
    }
    let party0 = try FakeParty(providers[0], folder: folder)
    let party1 = try FakeParty(providers[1], folder: folder, peer: party0.address)
    let session = try ClientSession.begin(
      party0: party0.address, party1: party1.address, promptCount: 2, newCount: 1,
      timeout: .seconds(20))
    #expect(session.identity.output == output)
    // One-hot rows of the tokens 0 and 1, three times their first columns, in sixteenths.
    let result = try SecureGeneration(session: session, tables: nil).run(
      prompt: [1, 0], newCount: 1)
    let expected = output.softCap.map { $0 * tanh(3 / 16 / $0) } ?? 3 / 16
    #expect(result.meaning == .logits)
    #expect(result.rows.count == 1 && abs(Double(result.rows[0][0]) - expected) < 1e-7)
    try party0.stop()
    try party1.stop()
  }

  /// The same widths with another output are another model.
  @Test func partiesWithOtherOutputsAreRefused() throws {
    let folder = try TemporaryFolder()
    let providers = (0..<2).map { party in
      var provider = FakeProvider(party: party)
      if party == 1 { provider.identity.output.softCap = 30 }
      return provider
    }
    let party0 = try FakeParty(providers[0], folder: folder)
    let party1 = try FakeParty(providers[1], folder: folder, peer: party0.address)
    #expect(throws: InputError.self) {
      _ = try ClientSession.begin(
        party0: party0.address, party1: party1.address, promptCount: 2, newCount: 1,
        timeout: .seconds(10))
    }
    party0.service.stop()
    party1.service.stop()
  }

  @Test func summariesSayWhatTheRowsAre() {
    func summary(_ meaning: ModelOutput, _ rows: [[Float]], tokens: [Int] = []) -> (
      text: String, json: String
    ) {
      var result = SecureGeneration.Result(
        meaning: meaning, session: SessionKey(batch: "00", session: 0))
      result.rows = rows
      result.newTokens = tokens
      let summary = GenerationSummary(result)
      return (String(summary.text.prefix { $0 != "\n" }), summary.json.text)
    }
    #expect(summary(.logits, [[0, 2]], tokens: [1]).text == "[1]")
    #expect(summary(.states, [[0], [1]]).text == "2 output rows")
    #expect(summary(.embedding, [[0, 1, 2]]).text == "one embedding of 3 numbers")
    #expect(summary(.tokenLogits, [[0, 1], [3, 3]]).text == "most likely tokens [1,0]")
    #expect(summary(.tokenClasses, [[0, 1, 0], [3, 3, 4]]).text == "classes [1,2] of 3")
    let classes = summary(.classes, [[-1, 2.5, 0.25]])
    #expect(classes.text == "class 1, scores 0: -1.0000, 1: 2.5000, 2: 0.2500")
    #expect(classes.json.contains("\"best\":[1]"))
    #expect(classes.json.contains("\"scores\":[-1.0,2.5,0.25]"), "\(classes.json)")
    #expect(!summary(.logits, [[0, 2]], tokens: [1]).json.contains("best"))
  }
}
