// Texts that other tools padded: without an attention mask the padding would be attended to.

import Bytes
import Models
import TestSupport
import Testing

@Suite struct PaddingTests {
  private func load(_ changes: [String: JSON], to folder: ScratchFolder) throws -> LoadedModel {
    var checkpoint = TinyCheckpoint.bert()
    for (key, value) in changes { checkpoint.configuration[key] = value }
    return try ModelLoader.load(path: checkpoint.write(to: folder))
  }

  @Test func trailingPaddingIsLeftOut() throws {
    let folder = try ScratchFolder()
    let model = try load(["pad_token_id": 0], to: folder).model
    #expect(model.padToken == 0)
    let (texts, notice) = model.withoutPadding([[3, 0, 5, 0, 0], [4, 1], [0, 0]])
    #expect(texts == [[3, 0, 5], [4, 1], [0]])
    #expect(notice?.contains("2 texts end in padding (token 0): 3 tokens are left out") == true)
    #expect(model.withoutPadding([[3, 4]]).notice == nil)
    #expect(try Model(json: model.json, source: "m") == model)
  }

  @Test func thePlaintextReferenceRunsWhatIsText() throws {
    let folder = try ScratchFolder()
    let loaded = try load(["pad_token_id": 0], to: folder)
    let tokens = try folder.write("[3, 7, 5, 0, 0, 0]".utf8, to: "padded.json")
    var notices: [String] = []
    let output = try PlaintextReference.output(
      checkpointPath: folder.path, tokensPath: tokens, noted: { notices = $0.notices })
    #expect(output == (try FloatInterpreter(loaded).run(tokens: [3, 7, 5])))
    #expect(notices.contains { $0.contains("ends in padding") })
  }

  @Test(
    arguments: [
      [:], ["pad_token_id": .null], ["pad_token_id": 11], ["pad_token_id": -1],
      ["pad_token_id": 2, "eos_token_id": 2], ["pad_token_id": 2, "sep_token_id": 2],
    ] as [[String: JSON]])
  func whatStandsForMoreIsNoPadding(changes: [String: JSON]) throws {
    #expect(try load(changes, to: ScratchFolder()).model.padToken == nil)
  }

  @Test func aDecoderKeepsItsTokens() throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.configuration["pad_token_id"] = 0
    let folder = try ScratchFolder()
    #expect(try ModelLoader.load(path: checkpoint.write(to: folder)).model.padToken == nil)
  }
}
