// `--output`: what commands take for a checkpoint's output, and what they say of it.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

@Suite struct OutputOptionTests {
  private let scratch: ScratchFolder

  init() throws { scratch = try ScratchFolder() }

  private func logits(_ vector: FamilyVector, _ options: [String] = []) throws -> (
    output: NPYArray, said: String, messages: String
  ) {
    let text = try #require(vector.texts.first)
    let tokens = try scratch.write(
      JSON.array(text.map(JSON.integer)).text.utf8, to: "tokens.json")
    let outcome = try Tool.run(
      "lodge-model",
      ["logits", vector.folder.path, "--tokens", tokens, "--out", scratch.file("out.npy")] + options
    )
    #expect(outcome.status == 0, "\(outcome.messages)")
    return (try NPY.readFloats(scratch.file("out.npy")), outcome.output, outcome.messages)
  }

  private func vector(_ name: String) throws -> FamilyVector {
    try #require(FamilyVector.all.first { $0.name == name })
  }

  /// States with a note unless the embedding of the folder, or they themselves, are asked for.
  @Test func embeddingsComeWhenTheyAreAskedFor() throws {
    let vector = try vector("bert-embedding-mean-unit")
    let plain = try logits(vector)
    let count = try #require(vector.texts.first?.count)
    #expect(plain.output.shape == [count, 24])
    #expect(plain.said.hasSuffix("float32 [\(count), 24], the last hidden state\n"))
    #expect(plain.messages.contains("lodge-model: note: modules.json makes one vector of a text"))
    let states = try logits(vector, ["--output", "states"])
    #expect(states.output == plain.output && !states.messages.contains("modules.json"))
    let embedding = try logits(vector, ["--output", "embedding"])
    #expect(embedding.said.hasSuffix("float32 [1, 24], one vector of the text\n"))
    var difference = LogitDifference()
    difference.add(embedding.output.values, try vector.outputs().values.prefix(24))
    #expect(difference.maximum < 1e-3)
  }

  @Test func classesComeOfThemselves() throws {
    let vector = try vector("bert-classes")
    let classes = try logits(vector)
    #expect(classes.output.shape == [1, 3])
    #expect(classes.said.hasSuffix("float32 [1, 3], scores of classes of the text\n"))
    #expect(try logits(vector, ["--output", "states"]).output.shape[1] == 24)
    let inspection = try Tool.succeed("lodge-model", ["inspect", vector.folder.path])
    #expect(inspection.contains("output        scores of classes of the text\n"))
    var json = try JSONReader(
      JSON.parse(
        Tool.succeed(
          "lodge-model", ["inspect", vector.folder.path, "--output", "states", "--json"]),
        source: "output"), source: "output")
    #expect(try json.string("output") == "states")
  }

  @Test func otherOutputsAreRefused() throws {
    let bert = try vector("bert").folder.path
    try Tool.fail(
      "lodge-model", ["inspect", bert, "--output", "embedding"],
      saying: ["modules.json", "missing"]
    )
    try Tool.fail(
      "lodge-model", ["inspect", bert, "--output", "classes"],
      saying: ["classifier.weight", "missing"])
    let decoder = try TinyCheckpoint.opt().write(to: scratch)
    try Tool.fail(
      "lodge-model", ["inspect", decoder, "--output", "states"], saying: ["has no output"])
  }
}
