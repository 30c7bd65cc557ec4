// tools/tokenize makes the evaluation sets that lodge-check reads.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite(.needsPython) struct TokenizeTests {
  private let folder = try? ScratchFolder()
  private let tokenizer = Repository.fixtures.appending(path: "opt-dickens-5m").path

  private func pairs(_ text: String, _ options: [String] = []) throws -> PythonTool.Outcome {
    let table = try #require(folder).write(text.utf8, to: "pairs.tsv")
    return try PythonTool("tokenize").run(
      ["pairs", table, "--tokenizer", tokenizer, "--out", try #require(folder).file("pairs.json")]
        + options)
  }

  private func encoded(_ text: String) throws -> [Int] {
    let outcome = try PythonTool("tokenize").run(["encode", "--tokenizer", tokenizer, text])
    let path = try #require(folder).write(outcome.output.utf8, to: "text.json")
    return try TokenFile.read(path)[0]
  }

  @Test func pairsAreReadBack() throws {
    let outcome = try pairs("4.5\tA cat.\tA dog sat.\n\n0\tNo.\tYes.\n")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let read = try PairFile.read(try #require(folder).file("pairs.json"))
    #expect(read.map(\.score) == [4.5, 0])
    #expect(try read[0].first == encoded("A cat.") && read[0].second == encoded("A dog sat."))
    #expect(try read[1].second == encoded("Yes."))
  }

  @Test func columnsAreChosen() throws {
    let outcome = try pairs(
      "images\tA cat.\t3\tA dog sat.\n",
      ["--score", "3", "--first", "4", "--second", "2", "--max", "1"])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let read = try PairFile.read(try #require(folder).file("pairs.json"))
    #expect(try read[0].second == Array(encoded("A cat.").prefix(1)))
    #expect(read[0].score == 3 && read[0].first.count == 1)
  }

  /// Ids far above the number of entries, with holes before them, as padded vocabularies have.
  @Test func vocabulariesMayHaveHoles() throws {
    let folder = try #require(folder)
    let added = [(20, "<s>"), (31, "</s>")].map { id, text in
      #"{"id":\#(id),"content":"\#(text)","single_word":false,"lstrip":false,"rstrip":false,"#
        + #""normalized":false,"special":true}"#
    }
    let text =
      #"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[\#(added[0]),\#(added[1])],"#
      + #""normalizer":null,"pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"#
      + #""decoder":null,"model":{"type":"WordLevel","unk_token":"<unk>","vocab":{"<unk>":0,"#
      + #""a":1,"b":2,"<s>":20,"</s>":31}}}"#
    let tokenizer = try folder.write("\u{feff}\(text)".utf8, to: "holes.json")
    func decode(_ ids: String) throws -> PythonTool.Outcome {
      let file = try folder.write(ids.utf8, to: "ids.json")
      return try PythonTool("tokenize").run(
        ["decode", "--tokenizer", tokenizer, "--keep-special", file])
    }
    #expect(try decode("[20,1,2,31]").output == "<s> a b </s>\n")
    for (ids, id) in [
      ("[1,25]", "25"), ("[3]", "3"), ("[-1]", "-1"), ("[4294967297]", "4294967297"),
    ] {
      let outcome = try decode(ids)
      #expect(outcome.status == 1 && outcome.errorLines.count == 1)
      #expect(
        outcome.errors.contains("list 0: \(id) is no id of the tokenizer, whose largest is 31"),
        "\(outcome.errors)")
    }
    let encoded = try PythonTool("tokenize").run(
      ["encode", "--tokenizer", tokenizer, "--start", "20", "a b"])
    #expect(encoded.output == "[20,1,2]\n")
    let refused = try PythonTool("tokenize").run(
      ["encode", "--tokenizer", tokenizer, "--start", "19", "a b"])
    #expect(refused.errors.contains("--start: 19 is no id of the tokenizer"))
  }

  @Test(arguments: [
    ("version https://git-lfs.github.com/spec/v1\noid sha256:5f\nsize 1\n", "Git LFS pointer"),
    ("<!DOCTYPE html>", "web page"),
  ]) func tokenizersThatWereNotDownloadedAreSaid(text: String, cause: String) throws {
    let file = try #require(folder).write(text.utf8, to: "tokenizer.json")
    let outcome = try PythonTool("tokenize").run(["encode", "--tokenizer", file, "a"])
    #expect(outcome.status == 1 && outcome.errorLines.count == 1)
    #expect(outcome.errors.contains(cause))
  }

  @Test(arguments: [
    ("", [], "holds no pairs"), ("1\tA cat.\n", [], "line 1: has 2 columns, 3 are needed"),
    ("\n1\tA.\tB.\nx\tA.\tB.\n", [], "line 3: the score \"x\" is not a number"),
    ("nan\tA.\tB.\n", [], "line 1: the score is not finite"),
    ("1\t\tB.\n", [], "line 1: a text has no tokens"),
    ("1\tA.\tB.\n", ["--first", "1"], "three different columns"),
    ("1\tA.\tB.\n", ["--max", "0"], "--max 0: must be positive"),
  ]) func refusesTables(text: String, options: [String], cause: String) throws {
    let outcome = try pairs(text, options)
    #expect(outcome.status == 1)
    #expect(outcome.errorLines.count == 1)
    #expect(outcome.errors.contains(cause), "\(outcome.errors)")
  }
}
