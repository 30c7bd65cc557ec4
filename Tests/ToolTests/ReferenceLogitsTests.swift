// `lodge-model logits` on every file of the shared models, against the references beside them.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite(.needsSharedModels) struct ReferenceLogitsTests {
  /// A checkpoint, and the model whose reference it must give.
  struct File: CustomTestStringConvertible, Sendable {
    var model: String
    var path: String

    init(_ model: String, _ file: String = "") {
      self.model = model
      path = file.isEmpty ? model : "\(model)/\(file)"
    }

    var testDescription: String { path }
  }

  /// What the references say: the widest difference allowed to files of F32, F16 and BF16 whose own
  /// numbers the reference was computed from.
  private static let tolerance: Float = 2e-3

  private func shared(_ path: String) throws -> String {
    try #require(Repository.sharedModels).appending(path: path).path
  }

  /// What the tool writes for one text.
  private func output(_ checkpoint: String, _ tokens: [Int], options: [String] = []) throws
    -> NPYArray
  {
    let folder = try ScratchFolder()
    let text = try folder.write(JSON.array(tokens.map(JSON.integer)).text.utf8, to: "tokens.json")
    try Tool.succeed(
      "lodge-model",
      ["logits", checkpoint, "--tokens", text, "--out", folder.file("out.npy")]
        + options)
    return try NPY.readFloats(folder.file("out.npy"))
  }

  /// Differences to the logits in `folder` over all prompts of a model.
  private func difference(_ checkpoint: String, model: String, reference folder: String) throws
    -> LogitDifference
  {
    var difference = LogitDifference()
    let prompts = try ReferencePrompt.read(shared("\(model)/reference/prompts.json"))
    #expect(prompts.count == 6)
    for (index, prompt) in prompts.enumerated() {
      let expected = try NPY.readFloats("\(folder)/logits_\(index).npy")
      let found = try output(checkpoint, prompt.tokens)
      try #require(found.shape == expected.shape)
      difference.add(found.values, expected.values)
    }
    return difference
  }

  @Test(arguments: [
    File("opt-dickens-5m"), File("gpt2-dickens-6m", "pytorch_model.bin"),
    File("gpt2-dickens-6m", "tf_model.h5"), File("stories260k", "model.safetensors"),
    File("stories260k", "pytorch_model.bin"), File("stories260k", "model.weights.h5"),
    File("stories260k", "model.weights.gzip.h5"), File("stories260k", "model.f32.gguf"),
  ]) func logitsAgreeWithTheReference(file: File) throws {
    let found = try difference(
      shared(file.path), model: file.model, reference: shared("\(file.model)/reference"))
    #expect(found.maximum <= Double(ReferenceLogitsTests.tolerance), "\(file): \(found)")
  }

  /// The shards come without the config.json that stands beside the whole file.
  @Test func shardsNeedTheConfiguration() throws {
    let folder = try ScratchFolder()
    let source = try shared("stories260k")
    for name in try FileManager.default.contentsOfDirectory(atPath: "\(source)/sharded") {
      try FileManager.default.createSymbolicLink(
        atPath: folder.file(name), withDestinationPath: "\(source)/sharded/\(name)")
    }
    try Tool.fail(
      "lodge-model", ["inspect", folder.path],
      saying: [folder.file("config.json"), "is missing beside the weights"])
    try FileManager.default.copyItem(
      atPath: "\(source)/config.json", toPath: folder.file("config.json"))
    let found = try difference(
      folder.path, model: "stories260k", reference: "\(source)/reference")
    #expect(found.maximum <= Double(ReferenceLogitsTests.tolerance), "\(found)")
  }

  @Test func sentencesAgreeWithTheReference() throws {
    let folder = try shared("minilm-l6-v2")
    let prompts = try ReferencePrompt.read("\(folder)/reference/prompts.json")
    let embeddings = try NPY.readFloats("\(folder)/reference/embeddings.npy")
    let hidden = try NPY.readFloats("\(folder)/reference/hidden_0.npy")
    #expect(prompts.count == 8)
    for (index, prompt) in prompts.enumerated() {
      let states = try output(folder, prompt.tokens)
      let mean = Similarity.meanPooled(states.values, width: 384)
      let length = mean.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let expected = embeddings.values[384 * index..<384 * (index + 1)]
      var difference = LogitDifference()
      difference.add(mean.map { Float($0 / length) }, expected)
      if index == 0 { difference.add(states.values, hidden.values.suffix(states.values.count)) }
      let embedding = try output(folder, prompt.tokens, options: ["--output", "embedding"])
      #expect(embedding.shape == [1, 384])
      difference.add(embedding.values, expected)
      #expect(
        difference.maximum <= Double(ReferenceLogitsTests.tolerance), "\(index): \(difference)")
    }
  }

  /// Rounded weights give the logits that numpy computes with the very same weights, and are as far
  /// from the F32 model as its reference says of them.
  ///
  /// That distance is the rounding's own: 0.016 (F16), 0.2 (BF16) and 0.39 (Q8_0) at the most, on a
  /// model whose scores reach -171. No reader can come closer to the F32 reference.
  @Test(.needsPython, arguments: ["model.f16.gguf", "model.q8_0.gguf", "pytorch_model.bf16.bin"])
  func roundedWeightsAgreeWithNumPy(file: String) throws {
    let source = try shared("stories260k")
    let checkpoint = "\(source)/\(file)"
    let folder = try ScratchFolder()
    let prompts = try ReferencePrompt.read("\(source)/reference/prompts.json")
    let texts = JSON.array(prompts.map { .array($0.tokens.map(JSON.integer)) })
    let tokens = try folder.write(texts.text.utf8, to: "texts.json")
    let outcome = try PythonTool("development/llama-logits").run([
      checkpoint, tokens, folder.file("numpy"),
    ])
    try #require(outcome.status == 0, "\(outcome.errors)")

    let same = try difference(checkpoint, model: "stories260k", reference: folder.file("numpy"))
    #expect(
      same.maximum <= Double(ReferenceLogitsTests.tolerance), "\(file), same weights: \(same)")

    let path = "\(source)/reference/formats.json"
    var formats = try JSONReader(JSON.read(path), source: path)
    var entry = try formats.object(file)
    let measured = try entry.number("largest_logit_difference")
    let rounding = try difference(
      checkpoint, model: "stories260k", reference: "\(source)/reference")
    print("\(file): same weights \(same); F32 reference \(rounding), documented \(measured)")
    // Their texts are not those of the prompts alone.
    #expect(rounding.maximum < 1.25 * measured, "\(rounding), documented \(measured)")
  }
}
