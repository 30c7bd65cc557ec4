// Adaptation end to end: functions, training in torch, conversion of what was trained.

import Approximation
import Bytes
import Checkpoints
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
    #expect(recipe.contains("layers.1.attention") && recipe.contains("\"replacement\": \"exact\""))
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

  /// Gates are trained and written beside the weights, the same ones for the same seed.
  @Test(.needsTorch, arguments: ["group", "l1"]) func gatesAreTrained(regulariser: String) throws {
    let subject = try Subject(recipe: "accurate")
    let more = [
      "--sparsity", "--block-width", "4", "--rank", "3", "--densest", "1", "--open", "0.5",
      "--steps", "60", "--batch", "16", "--rate", "0.005", "--storage", "float16",
      "--regulariser", regulariser, "--plain", "5", "--samples", "16",
    ]
    let out = ["first", "second"].map(subject.folder.file)
    for folder in out {
      let outcome = try PythonTool("finetune").run(subject.arguments(folder, more))
      try #require(outcome.status == 0, "\(outcome.errors)")
      #expect(outcome.output.contains("gates.safetensors"))
    }
    func bytes(_ folder: String, _ name: String) throws -> [UInt8] {
      try MappedFile(path: "\(folder)/\(name)").allBytes(atMost: 1 << 20)
    }
    for name in ["gates.safetensors", "model.safetensors"] {
      #expect(try bytes(out[0], name) == bytes(out[1], name), "\(name)")
    }
    let gates = try Safetensors(path: "\(out[0])/gates.safetensors")
    var computed = 0
    for layer in 0..<2 {
      let kept = try gates.tensor("layers.\(layer).order").shape[0]
      let blocks = kept / 4
      let rank = try gates.tensor("layers.\(layer).low").shape[0]
      #expect(kept > 0 && kept.isMultiple(of: 4) && kept <= 12)
      #expect(rank > 0 && rank <= 3)
      #expect(try gates.tensor("layers.\(layer).low").shape[1] == 8)
      #expect(try gates.tensor("layers.\(layer).high").shape == [blocks, rank])
      #expect(try gates.floats("layers.\(layer).bias").count == blocks)
      computed += kept
    }
    #expect(gates.tensors.count == 8 && computed > 0)
    let report = try JSON.read("\(out[0])/finetune.json")
    guard case .object(let members) = report, case .array(let layers)? = members["gates"],
      case .array(let shares)? = members["computed"]
    else {
      throw InputError(out[0], "no report")
    }
    #expect(layers.count == 2 && members["plain"] != nil)
    // The penalty brings the share down to what was asked for.
    let (first, last) = (
      try #require(shares.first?.double), try #require(shares.last?.double)
    )
    #expect(first <= 1 && last > 0 && last < first, "\(shares)")
    #expect(try Tool.succeed("lodge-model", ["inspect", out[0]]).contains("relu"))

    // The gates go on from where they were.
    let third = subject.folder.file("third")
    let outcome = try PythonTool("finetune").run(
      subject.arguments(
        third, ["--sparsity", "--continue", out[0], "--open", "0.3", "--steps", "20"]))
    try #require(outcome.status == 0, "\(outcome.errors)")
    let later = try Safetensors(path: "\(third)/gates.safetensors")
    #expect(try later.tensor("layers.0.low").shape == gates.tensor("layers.0.low").shape)
    #expect(try later.floats("layers.0.low") != gates.floats("layers.0.low"))
    let missing = try PythonTool("finetune").run(
      subject.arguments(
        subject.folder.file("fourth"), ["--sparsity", "--continue", subject.model]))
    #expect(missing.status == 1)
    #expect(missing.errors.contains("gates.safetensors"), "\(missing.errors)")
  }

  /// Tensors that are not trained, such as the masks of old GPT-2 files, are written as they were.
  @Test(.needsTorch) func tensorsThatAreNotTrainedAreKept() throws {
    let mask = "transformer.h.0.attn.bias"
    var checkpoint = TinyCheckpoint.gpt2()
    checkpoint.configuration["activation_function"] = "relu"
    checkpoint.add(mask, [1, 1, 6, 6])
    let subject = try Subject(recipe: "accurate", checkpoint: checkpoint)
    let out = subject.folder.file("gated")
    let outcome = try PythonTool("finetune").run(
      subject.arguments(
        out,
        [
          "--sparsity", "--block-width", "4", "--rank", "3", "--densest", "1", "--open", "0.5",
          "--steps", "4",
        ]))
    try #require(outcome.status == 0, "\(outcome.errors)")
    let written = try Safetensors(path: "\(out)/model.safetensors").floats(mask)
    #expect(written == checkpoint.tensors[mask]?.values)
  }

  @Test(.needsTorch) func modelsThatAreNeverSilentGetNoGates() throws {
    let subject = try Subject(recipe: "accurate", checkpoint: .gpt2())
    let out = subject.folder.file("gated")
    let outcome = try PythonTool("finetune").run(
      subject.arguments(out, ["--sparsity", "--steps", "4", "--block-width", "4"]))
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("no layer is sparse enough"), "\(outcome.errors)")
    #expect(!FileManager.default.fileExists(atPath: out))
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
