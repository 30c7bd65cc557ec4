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
    let (texts, notice) = try model.withoutPadding(
      [[3, 0, 5, 0, 0], [4, 1], [0, 0]], source: "t")
    #expect(texts == [[3, 0, 5], [4, 1], [0]])
    #expect(notice?.contains("2 texts end in padding (token 0): 3 tokens are left out") == true)
    // Inside it is read, as the library does without a mask.
    #expect(
      notice?.hasSuffix("; 1 text holds padding (token 0) before the end: it is read as text")
        == true)
    #expect(try model.withoutPadding([[3, 4], [0]], source: "t").notice == nil)
    #expect(
      try model.withoutPadding([[0, 0, 4], [0, 3]], source: "t").notice?.hasPrefix("2 texts hold")
        == true)
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

  /// The library counts no position for it, whether the settings name the token or not.
  @Test(
    arguments: [
      ("roberta", ["pad_token_id": .null], 1), ("xlm-roberta", [:], 1),
      // MPNet has the row of another token than its settings say.
      ("mpnet", ["pad_token_id": 3], 1),
    ] as [(String, [String: JSON], Int)])
  func positionsAreCountedWithoutPadding(
    name: String, changes: [String: JSON], token: Int
  ) throws {
    let folder = try ScratchFolder()
    let model = try ModelLoader.load(
      path: FamilyVector.changed(name, changes, in: folder)
    ).model
    #expect(model.padToken == token)
    #expect(try model.withoutPadding([[5, 6, token]], source: "t").texts == [[5, 6]])
    for text in [[token, 5, 6], [5, token, 6, token]] {
      let error = #expect(throws: InputError.self) {
        try model.withoutPadding([[5, 6], text], source: "t.json")
      }
      #expect(error?.source == "t.json")
      #expect(error?.place == "text 1, position \(text[0] == token ? 0 : 1)")
    }
    // Not left out where it ends texts, and not counted either.
    let ending = try ModelLoader.load(
      path: FamilyVector.changed(name, ["eos_token_id": .integer(token)], in: folder)
    ).model
    #expect(ending.padToken == nil)
    #expect(throws: InputError.self) { try ending.withoutPadding([[5, token]], source: "t") }
  }

  @Test func aDecoderKeepsItsTokens() throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.configuration["pad_token_id"] = 0
    let folder = try ScratchFolder()
    #expect(try ModelLoader.load(path: checkpoint.write(to: folder)).model.padToken == nil)
  }
}
