// A file of the wrong kind: the tools say what it is and which command comes before.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct FileKindTests {
  private func expect(
    _ tool: String, _ arguments: [String], _ error: String, hint: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let outcome = try Tool.run(tool, arguments, sourceLocation: sourceLocation)
    Tool.expectFailure(outcome, of: tool, saying: [error], sourceLocation: sourceLocation)
    let hints = outcome.messages.split(separator: "\n").filter { $0.contains(": hint: ") }
    #expect(
      hints.count == 1 && hints[0].contains(hint), "\(outcome.messages)",
      sourceLocation: sourceLocation)
  }

  @Test func theCommandThatComesBeforeIsNamed() throws {
    let converted = try Tiny.converted.get()
    let shares = "\(try Tiny.first.get())/shares"
    let model = "\(converted)/model.lodge"
    let scratch = try ScratchFolder()
    let checkpoint = try TinyCheckpoint.opt().write(to: scratch)
    let (out, tokens) = (scratch.file("out"), "\(converted)/calibration.json")
    let text = ["--tokens", tokens]
    for path in [checkpoint, "\(checkpoint)/model.safetensors"] {
      let (cause, hint) = (
        "\(path): is a checkpoint, a converted model is expected", "'lodge-model approximate "
      )
      try expect("lodge-model", ["share", path, "--out", out], cause, hint: hint)
      try expect("lodge-check", ["validate", path] + text, cause, hint: hint)
      try expect("lodge-check", ["compare", path, path] + text, cause, hint: hint)
      try expect("lodge-check", ["program", path], cause, hint: hint)
      try expect("lodge-check", ["cost", path], cause, hint: hint)
      try expect(
        "lodge-deal", [path, "--out", out],
        "\(path): is a checkpoint, a folder of bundles is expected", hint: "'lodge-model share ")
    }
    try expect(
      "lodge-deal", [model, "--out", out],
      "\(model): is a converted model, a folder of bundles is expected",
      hint: "'lodge-model share ")
    let notCheckpoint = "\(model): is a converted model, a checkpoint is expected"
    let from = "the model was converted from"
    try expect("lodge-model", ["inspect", model], notCheckpoint, hint: from)
    for command in ["logits", "approximate", "calibrate"] {
      try expect(
        "lodge-model", [command, model] + text + ["--out", out], notCheckpoint, hint: from)
    }
    try expect(
      "lodge-model", ["share", "\(shares)/party0.bundle", "--out", out],
      "kind: is a bundle, a model is expected", hint: "'lodge-model approximate ")
    try expect(
      "lodge-model", ["inspect", shares], "\(shares): is a folder of bundles, a checkpoint is",
      hint: from)
    try expect(
      "lodge-model", ["calibrate", "--merge", model, model, "--out", out],
      "\(model): kind: is a model, a calibration is expected",
      hint: "'lodge-model calibrate ")
    #expect(try scratch.names() == ["config.json", "model.safetensors"])
  }

  /// With --json a failure is a document, too, with every single problem.
  @Test func everyProblemIsInTheDocument() throws {
    var checkpoint = TinyCheckpoint.bert(layerCount: 3)
    checkpoint.configuration = TinyCheckpoint.opt(layerCount: 3).configuration
    let folder = try ScratchFolder()
    let path = try checkpoint.write(to: folder)
    let outcome = try Tool.run("lodge-model", ["inspect", path, "--json"])
    Tool.expectFailure(outcome, of: "lodge-model", saying: ["times \"is missing\""])
    var reader = try JSONReader(JSON.parse(outcome.output, source: "output"), source: "output")
    let problems = try reader.array("problems")
    #expect(problems.count > 80)
    #expect(problems.contains("model.decoder.layers.2.fc2.bias is missing"))
    #expect(try reader.string("error").contains("\(problems.count) problems: "))
    _ = try reader.string("hint")
    try reader.finish()
  }
}
