// Adaptation end to end: functions, training in torch, conversion of what was trained.

import Approximation
import Bytes
import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct FinetuneTests {
  /// A tiny model with the functions of a recipe, and texts to train and to measure it with.
  private struct Subject {
    let folder: ScratchFolder
    let model: String
    let functions: String
    let training: String
    let validation: String

    init(recipe: String, checkpoint: TinyCheckpoint = .opt()) throws {
      folder = try ScratchFolder()
      model = folder.file("model")
      try FileManager.default.createDirectory(atPath: model, withIntermediateDirectories: false)
      let written = try ScratchFolder()
      for name in try {
        _ = try checkpoint.write(to: written)
        return try written.names()
      }() {
        try FileManager.default.copyItem(atPath: written.file(name), toPath: "\(model)/\(name)")
      }
      var random = SplitMix(3)
      func texts(_ count: Int) -> String {
        JSON.array(
          (0..<count).map { _ in
            .array((0..<6).map { _ in .integer(Int.random(in: 0..<11, using: &random)) })
          }
        ).text
      }
      training = try folder.write(texts(48).utf8, to: "training.json")
      validation = try folder.write(texts(12).utf8, to: "validation.json")
      functions = folder.file("functions.json")
      try Tool.succeed(
        "lodge-model",
        ["functions", model, "--recipe", recipe, "--tokens", training, "--out", functions])
    }

    func arguments(_ out: String, _ more: [String]) -> [String] {
      [
        model, "--functions", functions, "--tokens", training, "--validation", validation,
        "--out", out,
      ] + more
    }
  }

  /// What finetune.json says.
  private struct Report {
    let curve: [Double]
    let reverted: [String]
    let replaced: Double
    let adapted: Double

    init(_ folder: String) throws {
      let json = try JSON.read("\(folder)/finetune.json")
      func member(_ keys: String...) throws -> JSON {
        try keys.reduce(json) { value, key in
          guard case .object(let members) = value else { throw InputError(folder, key) }
          return try #require(members[key], "\(key)")
        }
      }
      guard case .array(let points) = try member("curve"),
        case .array(let names) = try member("reverted")
      else { throw InputError(folder, "no report") }
      curve = points.compactMap { point in
        if case .array(let pair) = point { pair.last?.double } else { nil }
      }
      reverted = names.compactMap { if case .string(let name) = $0 { name } else { nil } }
      replaced = try #require(try member("replaced", "validation", "loss").double)
      adapted = try #require(try member("adapted", "validation", "loss").double)
    }
  }

  /// Every non-linear operation has its form, and every weight the checkpoint's key.
  @Test func functionsAreData() throws {
    let subject = try Subject(recipe: "pcft")
    let document = try JSON.read(subject.functions)
    func object(_ key: String) throws -> [String: JSON] {
      guard case .object(let members) = document, case .object(let found)? = members[key] else {
        throw InputError(subject.functions, place: key, "is no object")
      }
      return found
    }
    let functions = try object("functions")
    #expect(functions.count == 9)
    let attention = try #require(functions["layers.1.attention"]).text
    #expect(attention.contains("\"class\":\"softmax\"") && attention.contains("\"epsilon\""))
    let gamma = try #require(object("weights")["layers.0.inputLayerNorm.gamma"]).text
    #expect(gamma.contains("model.decoder.layers.0.self_attn_layer_norm.weight"))
  }

  @Test(.needsTorch) func trainingLowersTheLossAndTheResultConverts() throws {
    let subject = try Subject(recipe: "pcft")
    let out = subject.folder.file("adapted")
    let outcome = try PythonTool("finetune").run(
      subject.arguments(
        out, ["--steps", "120", "--batch", "16", "--rate", "0.005", "--hidden", "0.1"]))
    try #require(outcome.status == 0, "\(outcome.errors)")
    let report = try Report(out)
    let last = try #require(report.curve.last)
    // The last stage begins at half of the steps, with all replacements in place.
    let first = report.curve[report.curve.count / 2]
    #expect(last < first, "\(report.curve)")
    #expect(report.reverted.isEmpty)

    let converted = subject.folder.file("adapted.lodge")
    let text = try Tool.succeed(
      "lodge-model",
      [
        "approximate", out, "--recipe", "\(out)/recipe.json", "--tokens", subject.training,
        "--out", converted,
      ])
    #expect(text.contains("affine"))
  }

  /// An allowance that nothing meets: every layer is taken back, and the weights with it.
  @Test(.needsTorch) func theStagedScheduleReverts() throws {
    let subject = try Subject(recipe: "pcft")
    let out = subject.folder.file("adapted")
    let outcome = try PythonTool("finetune").run(
      subject.arguments(
        out, ["--schedule", "staged", "--steps", "30", "--allowance", "-100", "--json"]))
    try #require(outcome.status == 0, "\(outcome.errors)")
    let report = try Report(out)
    // Two softmaxes and five normalisations; ReLU stays what it is.
    #expect(report.reverted.count == 7)
    let recipe = try String(contentsOfFile: "\(out)/recipe.json", encoding: .utf8)
    #expect(recipe.contains("layers.1.attention") && recipe.contains("minimax"))
    try Tool.succeed(
      "lodge-model",
      [
        "approximate", out, "--recipe", "\(out)/recipe.json", "--tokens", subject.training,
        "--out", subject.folder.file("adapted.lodge"),
      ])
  }

  /// Encoders are distilled from their hidden states; fused and transposed tensors are trained.
  @Test(.needsTorch, arguments: [TinyCheckpoint.bert(), .gpt2()])
  func otherFamiliesTrain(checkpoint: TinyCheckpoint) throws {
    let subject = try Subject(recipe: "pcft", checkpoint: checkpoint)
    let out = subject.folder.file("adapted")
    let outcome = try PythonTool("finetune").run(
      subject.arguments(out, ["--steps", "60", "--batch", "16", "--rate", "0.003"]))
    try #require(outcome.status == 0, "\(outcome.errors)")
    #expect(try Tool.succeed("lodge-model", ["inspect", out]).contains("softmax"))
  }

  @Test(.needsTorch) func wrongInputsAreNamed() throws {
    let subject = try Subject(recipe: "pcft")
    let out = subject.folder.file("adapted")
    let strange = try subject.folder.write("[[1,2,11]]".utf8, to: "strange.json")
    let cases: [(changes: [String: String], part: String)] = [
      (["--tokens": strange], "token 11"),
      (["--functions": subject.training], "member"), (["--out": subject.model], "exists"),
      // Nothing is left to train on.
      (["--tokens": subject.validation], "no texts"),
    ]
    for (changes, part) in cases {
      var arguments = subject.arguments(out, ["--steps", "1"])
      for (option, value) in changes {
        let place = try #require(arguments.firstIndex(of: option))
        arguments[place + 1] = value
      }
      let outcome = try PythonTool("finetune").run(arguments)
      #expect(outcome.status == 1, "\(part): \(outcome.errors)")
      let errors = outcome.errorLines.filter { $0.hasPrefix("finetune: error: ") }
      #expect(errors.count == 1 && errors.first?.lowercased().contains(part) == true, "\(errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: out))
  }

  @Test func withoutTorchAnErrorSaysWhatToDo() throws {
    let outcome = try PythonTool("finetune").run(
      ["--help"],
      environment: [
        "LODGE_TORCH_PYTHON": "/no/such/python"
      ])
    #expect(outcome.status == 69)
    #expect(outcome.errors.contains("finetune: hint: "))
  }
}
