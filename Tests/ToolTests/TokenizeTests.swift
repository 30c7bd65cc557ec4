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
