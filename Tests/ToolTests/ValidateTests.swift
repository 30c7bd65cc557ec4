// `lodge-check validate` and `lodge-check compare` as a user runs them.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct ValidateTests {
  private let folder = try? ScratchFolder()

  private func model() throws -> String { try "\(Tiny.converted.get())/model.lodge" }

  private func write(_ text: String, _ name: String) throws -> String {
    try #require(folder).write(text.utf8, to: name)
  }

  private func tokens(_ text: String = "[[1,2,3,4,5,6],[7,8,9,10,0,1]]") throws -> String {
    try write(text, "eval.json")
  }

  /// The member of a JSON document at a path of keys.
  private func member(_ text: String, _ path: [String]) throws -> JSON? {
    var value: JSON? = try JSON.parse(Array(text.utf8), source: "output")
    for key in path {
      guard case .object(let members) = value else { return nil }
      value = members[key]
    }
    return value
  }

  @Test func printsTablesAndKeepsLimits() throws {
    let limits = try write("{\"maxPerplexityIncrease\": 0.5, \"minHeadroomBits\": 1}", "l.json")
    let out = try #require(folder).file("result.json")
    let text = try Tool.succeed(
      "lodge-check",
      [
        "validate", model(), "--tokens", tokens(), "--thresholds", limits, "--min-top1", "0.1",
        "--out", out, "--prompt", "3", "--new", "2",
      ])
    for part in [
      "original, float", "replacements, float", "fixed point", "1/sqrt(x)", "ReLU", "Headroom",
      "max-perplexity-increase", "kept",
    ] {
      #expect(text.contains(part), "\(part)")
    }
    #expect(!text.contains("MISSED"))
    let document = String(decoding: try Data(contentsOf: URL(filePath: out)), as: UTF8.self)
    #expect(try member(document, ["format"]) == "lodge-validation")
    #expect(try member(document, ["isPassed"]) == true)
    #expect(try member(document, ["evaluation", "scoredCount"]) == 10)
    #expect(try member(document, ["cost", "newCapacity"]) == 2)
    guard case .array(let stages) = try member(document, ["stages"]) else {
      Issue.record("no stages")
      return
    }
    #expect(stages.count == 3)
  }

  @Test func aMissExitsWithTwoAndIsNamed() throws {
    let outcome = try Tool.run(
      "lodge-check",
      [
        "validate", model(), "--tokens", tokens(), "--min-headroom-bits", "62",
        "--max-logit-error", "1e-9", "--min-top1", "0.1", "--json",
      ])
    Tool.expectFailure(
      outcome, of: "lodge-check", status: 2,
      saying: [
        "largest error of the output is ", "at most 1.00e-09 is required", "; ",
        "headroom in bits is ", "at least 62.00 is required",
      ])
    // The results are there all the same.
    #expect(try member(outcome.output, ["isPassed"]) == false)
  }

  @Test func twoPartiesAgreeOnASample() throws {
    let text = try Tool.succeed(
      "lodge-check", ["validate", model(), "--tokens", tokens(), "--secure", "1", "--json"])
    #expect(try member(text, ["secure", "sessionCount"]) == 1)
    // A prompt of three and three more tokens, each with a row of the vocabulary.
    #expect(try member(text, ["secure", "stepCount"]) == 4)
    #expect(try member(text, ["secure", "wordCount"]) == 44)
  }

  @Test func whatCannotBeEvaluatedIsRefused() throws {
    let model = try model()
    func refuse(_ arguments: [String], _ parts: [String]) throws {
      try Tool.fail("lodge-check", ["validate", model] + arguments, saying: parts)
    }
    try refuse(["--tokens", tokens("[]")], ["eval.json", "holds no tokens"])
    try refuse(["--tokens", tokens("[[1,2],[3,11]]")], ["eval.json", "text 1, position 1", "11"])
    try refuse(["--tokens", tokens("[[1],[2]]")], ["eval.json", "nothing to predict"])
    try refuse(["--tokens", tokens(), "--window", "7"], ["--window", "positions for 6"])
    try refuse(
      ["--pairs", write("[{\"first\":[1],\"second\":[2],\"score\":3}]", "pairs.json")],
      ["pairs.json", "a decoder has no sentence embeddings"])
    try refuse(
      ["--tokens", tokens(), "--thresholds", write("{\"minTop9\": 1}", "l.json")],
      ["l.json", "minTop9", "unknown key"])
    try refuse(["--tokens", tokens(), "--min-cosine", "0.5"], ["minCosine", "a decoder has no"])
    try refuse(["--tokens", tokens(), "--out", "/nowhere/result.json"], ["/nowhere/result.json"])
    let bundle = try "\(Tiny.first.get())/shares/party0.bundle"
    try Tool.fail(
      "lodge-check", ["validate", bundle, "--tokens", tokens()], saying: [bundle, "kind"])
  }

  @Test func comparesConversions() throws {
    let other = try "\(Tiny.other.get())/model.lodge"
    let arguments = try ["compare", model(), other, "--tokens", tokens()]
    let text = try Tool.succeed("lodge-check", arguments)
    for part in ["perplexity", "flights", "LAN", "WAN", "correlations", "accurate", "party"] {
      #expect(text.contains(part), "\(part)")
    }
    let document = try Tool.succeed("lodge-check", arguments + ["--json"])
    #expect(try member(document, ["format"]) == "lodge-comparison")
    // Precision is planned for each.
    let differing = try member(document, ["differingMembers"])
    #expect(differing == ["headroom"] || differing == ["fractionalBits", "headroom"])
    guard case .array(let models) = try member(document, ["models"]) else {
      Issue.record("no models")
      return
    }
    #expect(models.count == 2)
  }

  @Test func conversionsOfOtherModelsAreNotCompared() throws {
    let checkpoint = try ScratchFolder()
    _ = try TinyCheckpoint.bert().write(to: checkpoint)
    let other = try #require(folder).file("bert.lodge")
    try Tool.succeed(
      "lodge-model",
      ["approximate", checkpoint.path, "--tokens", tokens("[[1,2,3]]"), "--out", other])
    try Tool.fail(
      "lodge-check", ["compare", model(), other, "--tokens", tokens()],
      saying: [other, "is bert", "the first file's is opt"])
  }
}
