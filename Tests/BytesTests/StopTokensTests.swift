// End tokens, as ids and from a model's settings.

import Bytes
import TestSupport
import Testing

@Suite struct StopTokensTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  @Test func readsIdsAndSettings() throws {
    #expect(try StopTokens.read("2") == [2])
    #expect(try StopTokens.read("43,47,43") == [43, 47])
    let settings = try folder.write(#"{"eos_token_id": 7, "x": NaN}"#.utf8, to: "config.json")
    #expect(try StopTokens.read(settings) == [7])
    #expect(try StopTokens.read(folder.path + "/") == [7])
    _ = try folder.write(#"{"eos_token_id": [1, 2]}"#.utf8, to: "generation_config.json")
    #expect(try StopTokens.read(folder.path) == [1, 2])
  }

  @Test(arguments: [#"{"eos_token_id": null}"#, "{}"])
  func aFileWithoutLeavesItToTheNext(text: String) throws {
    _ = try folder.write(#"{"eos_token_id": 7}"#.utf8, to: "config.json")
    _ = try folder.write(text.utf8, to: "generation_config.json")
    #expect(try StopTokens.read(folder.path) == [7])
  }

  @Test func areTokensOfTheVocabulary() throws {
    try StopTokens.check([0, 96], vocabularySize: 97)
    // A model's settings may name tokens that it does not have.
    try StopTokens.check([3, 97, 99], vocabularySize: 97)
    #expect(
      throws: InputError("--stop", "token 97 is outside the vocabulary of 97")
    ) { try StopTokens.check([97, 99], vocabularySize: 97) }
  }

  @Test(arguments: [
    ("{}", "eos_token_id: missing key"), (#"{"eos_token_id":[]}"#, "holds no token id"),
    (#"{"eos_token_id":null}"#, "expected a token id"), (#"{"eos_token_id":-1}"#, "expected"),
    (#"{"eos_token_id":["2"]}"#, "expected a token id, or several"), ("[", "ends too early"),
  ]) func refusesSettings(text: String, cause: String) throws {
    let path = try folder.write(text.utf8, to: "config.json")
    let error = #expect(throws: InputError.self) { try StopTokens.read(path) }
    #expect(error?.source == path && error?.description.contains(cause) == true)
  }

  @Test func refusesOtherTexts() {
    #expect(throws: InputError("-3", "a token id is not negative")) { try StopTokens.read("-3") }
    #expect(throws: InputError.self) { try StopTokens.read("2,x") }
    #expect(throws: InputError.self) { try StopTokens.read("") }
  }
}
