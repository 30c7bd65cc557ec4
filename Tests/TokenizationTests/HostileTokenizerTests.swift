// Files that are wrong are one-line errors; files of other kinds are refused by name.

import Bytes
import Foundation
import TestSupport
import Testing
import Tokenization

struct HostileTokenizerTests {
  private let folder = try? ScratchFolder()

  /// A small tokenizer with one part in place of its own.
  private func file(
    model: String? = nil, added: String = "[]", normalizer: String = "null",
    preTokenizer: String = "null", processor: String = "null", decoder: String = "null",
    more: String = ""
  ) throws -> String {
    let model =
      model ?? #"{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}"#
    let text =
      #"{"version":"1.0","added_tokens":\#(added),"normalizer":\#(normalizer),"#
      + #""pre_tokenizer":\#(preTokenizer),"post_processor":\#(processor),"#
      + #""decoder":\#(decoder),"model":\#(model)\#(more)}"#
    return try #require(folder).write(text.utf8, to: "tokenizer.json")
  }

  private func failure(_ path: String) throws -> InputError {
    do throws(InputError) {
      _ = try Tokenizer(folder: path)
    } catch {
      #expect(!error.description.contains("\n"))
      return error
    }
    Issue.record("\(path) was read")
    return InputError("", "")
  }

  @Test func theSmallTokenizerIsRight() throws {
    let tokenizer = try Tokenizer(folder: file())
    #expect(try tokenizer.encode("abba?") == [2, 1, 0])
    #expect(tokenizer.decode([2, 0]) == "ab a")
  }

  /// Tokens that Swift's strings hold for equal are different tokens.
  @Test func canonicallyEqualTokensAreDifferent() throws {
    let tokenizer = try Tokenizer(
      folder: file(
        model: "{\"type\":\"BPE\",\"vocab\":{\"\u{e9}\":0,\"e\":1,\"\u{301}\":2,\"e\u{301}\":3},"
          + "\"merges\":[\"e \u{301}\"]}"))
    #expect(try tokenizer.encode("\u{e9}e\u{301}") == [0, 3])
  }

  @Test func wrongFilesAreErrors() throws {
    let cases = [
      (#"{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}"#, "stands there twice"),
      (#"{"type":"BPE","vocab":{"a":0,"a":1},"merges":[]}"#, "stands there twice"),
      (#"{"type":"BPE","vocab":{"a":-1},"merges":[]}"#, "expected an id"),
      (#"{"type":"BPE","vocab":{"a":9999999999},"merges":[]}"#, "expected an id"),
      (#"{"type":"BPE","vocab":{"a":0},"merges":[["a","b"]]}"#, "do not make a token"),
      (#"{"type":"BPE","vocab":{"a":0},"merges":["ab"]}"#, "expected two parts"),
      (#"{"type":"Unigram","vocab":[["a"]],"unk_id":0}"#, "expected a token and its score"),
      (#"{"type":"Unigram","vocab":[["a",0]],"unk_id":1}"#, "expected the id of a token"),
      (#"{"type":"WordLevel","vocab":[],"unk_token":"a"}"#, "expected a JSON object"),
    ]
    for (model, cause) in cases {
      let error = try failure(file(model: model))
      #expect(error.description.contains(cause), "\(error)")
      #expect(!Tokenizer.refuses(error), "\(error)")
    }
    let map = #"{"type":"Precompiled","precompiled_charsmap":"AAEAAA=="}"#
    #expect(try failure(file(normalizer: map)).cause == "is no compiled character map")
    let depth = String(repeating: "[", count: 100)
    #expect(try failure(file(model: depth)).cause == "JSON nested too deeply")
    let cut = try #require(folder).write(#"{"version":"1.0","model":{"ty"#.utf8, to: "cut.json")
    #expect(try failure(cut).cause == "string without end")
    #expect(
      try failure(#require(folder).path + "/none").description.contains("no such file"))
  }

  @Test func otherKindsAreRefusedByName() throws {
    func split(_ pattern: String) throws -> String {
      try file(
        preTokenizer:
          #"{"type":"Split","pattern":{"Regex":"\#(pattern)"},"behavior":"Isolated"}"#)
    }
    func expectRefusal(_ path: String, _ part: String) throws {
      let error = try failure(path)
      #expect(Tokenizer.refuses(error) && error.description.contains(part), "\(error)")
    }
    try expectRefusal(
      file(model: #"{"type":"BPE","vocab":{},"merges":[],"dropout":0.1}"#), "dropout")
    try expectRefusal(
      file(model: #"{"type":"BPE","vocab":{},"merges":[],"new_rule":true}"#), "new_rule")
    try expectRefusal(file(model: #"{"type":"Mystery"}"#), "Mystery")
    try expectRefusal(file(normalizer: #"{"type":"Mystery"}"#), "Mystery")
    try expectRefusal(file(preTokenizer: #"{"type":"UnicodeScripts"}"#), "UnicodeScripts")
    try expectRefusal(file(decoder: #"{"type":"CTC"}"#), "CTC")
    try expectRefusal(file(processor: #"{"type":"Mystery"}"#), "Mystery")
    try expectRefusal(file(more: #","extension":{}"#), "extension")
    for pattern in ["(?<=a)b", "a+?", #"\\p{Greek}"#, "(a|b)+", "a{3", "[a&&b]", "(?i:[^a])"] {
      try expectRefusal(split(pattern), "the pattern")
    }
    // Ids that the reference would number otherwise.
    let token =
      #"{"content":"<x>","single_word":false,"lstrip":false,"rstrip":false,"#
      + #""normalized":false,"special":true,"id":"#
    try expectRefusal(file(added: "[\(token)7}]"), "is 7 where 3 is next")
    #expect(try Tokenizer(folder: file(added: "[\(token)3}]")).encode("a<x>b") == [0, 3, 1])
  }

  /// A pattern that takes for ever is given up, not waited for.
  @Test func patternsThatTakeTooLongEnd() throws {
    let pattern = #"(?:a?a?a?a?){20}b"#
    let tokenizer = try Tokenizer(
      folder: file(
        preTokenizer:
          #"{"type":"Split","pattern":{"Regex":"\#(pattern)"},"behavior":"Isolated"}"#))
    #expect(throws: InputError.self) {
      try tokenizer.encode(String(repeating: "a", count: 60))
    }
  }
}
