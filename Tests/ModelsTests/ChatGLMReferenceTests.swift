// ChatGLM at reduced size against an independent forward pass, tools/lodge/references/write_chatglm.py.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

@Suite struct ChatGLMReferenceTests {
  private let reference = ReferenceModel(
    folder: Repository.fixtures.appending(path: "chatglm-small"))

  @Test func logitsOfEveryPrompt() throws { try reference.checkLogits() }

  @Test func buildsInOrder() throws {
    let loaded = try reference.load()
    let model = loaded.model
    #expect(model.family == "chatglm" && model.kind == .prefixDecoder)
    #expect(model.contextMarkers == ContextMarkers(startToken: 34, maskTokens: [31, 30]))
    #expect(
      model.nodes.prefix(10).map(\.name) == [
        "embed", "layers.0.inputLayerNorm", "layers.0.attention.query", "layers.0.attention.key",
        "layers.0.attention.value", "layers.0.attention.queryRotary",
        "layers.0.attention.keyRotary", "layers.0.attention", "layers.0.attention.output",
        "layers.0.attentionResidual",
      ])
    // The residual adds to what has been normalised.
    #expect(model.nodes[9].operation == .add(1, 8))
    #expect(
      loaded.unusedKeys
        == (0..<3).map { "transformer.layers.\($0).attention.rotary_emb.inv_freq" })
    #expect(try Model(json: JSON.parse(model.json.text, source: "m"), source: "m") == model)
  }

  /// What is in the context sees all of it, and nothing after it.
  @Test func seesTheWholeContext() throws {
    let interpreter = try FloatInterpreter(reference.load())
    let text = [5, 8, 13, 31, 34, 3]
    let output = try interpreter.run(tokens: text)
    let otherContext = try interpreter.run(tokens: [5, 8, 14, 31, 34, 3])
    let otherEnd = try interpreter.run(tokens: [5, 8, 13, 31, 34, 4])
    #expect(largestDifference(output.row(0), otherContext.row(0)) > 1e-3)
    for row in 0..<5 { #expect(largestDifference(output.row(row), otherEnd.row(row)) < 1e-4) }
  }

  @Test func refusesTextsWithoutMarkers() throws {
    let interpreter = try FloatInterpreter(reference.load())
    for (tokens, cause) in [
      ([1, 31, 2], "the start token 34 is missing"),
      ([1, 34, 2], "the mask token 31 or 30 is missing"),
    ] {
      let error = #expect(throws: InputError.self) { try interpreter.run(tokens: tokens) }
      #expect(error?.cause == cause)
      #expect(error?.hint.contains("the mask token 31 or 30, the start token 34") == true)
    }
  }

  /// In two parties the mask stands right before the start token, which ends the prompt.
  @Test func promptsEndInMarkers() throws {
    let markers = ContextMarkers(startToken: 34, maskTokens: [31, 30])
    for (tokens, length) in [([5, 31, 34], 3), ([30, 34, 5, 34], 2), ([5, 6, 31, 34, 8], 4)] {
      #expect(try markers.promptLength(of: tokens) == length)
    }
    try markers.check(prompt: [5, 31, 34])
    for (tokens, cause) in [
      ([5, 31], "the start token 34 is missing"), ([5, 34], "the mask token 31 or 30 is missing"),
      ([31, 5, 34], "the mask token 31 at position 0 does not stand right before the start token"),
      ([5, 34, 31], "the mask token 31 at position 2 does not stand right before the start token"),
      ([5, 31, 34, 6], "the start token 34 at position 2 is not the last of 4"),
      ([30, 31, 34, 34], "the start token 34 at position 2 is not the last of 4"),
    ] {
      let error = #expect(throws: InputError.self) { try markers.check(prompt: tokens) }
      #expect(error?.cause.hasPrefix(cause) == true, "\(error?.cause ?? "")")
    }
    #expect(markers.text(context: [1, 31, 2], generated: [34, 3]) == [1, 2, 31, 34, 3])
  }

  /// Tied where nothing else is said; the file's own matrix counts where it differs.
  @Test(arguments: [JSON.bool(true), nil]) func headsMayBeTied(value: JSON?) throws {
    let scratch = try ScratchFolder()
    let path = reference.folder.appending(path: "config.json").path
    guard case .object(var members) = try JSON.read(path) else { return }
    members["tie_word_embeddings"] = value
    _ = try scratch.write(JSON.object(members).text.utf8, to: "config.json")
    try FileManager.default.copyItem(
      atPath: reference.folder.appending(path: "model.safetensors").path,
      toPath: scratch.file("model.safetensors"))
    let loaded = try ModelLoader.load(path: scratch.path)
    #expect(loaded.notices.contains { $0.contains("lm_head.weight") })
    let text = [5, 8, 13, 31, 34]
    let output = try FloatInterpreter(loaded).run(tokens: text)
    #expect(try output == FloatInterpreter(reference.load()).run(tokens: text))
  }

  @Test(
    arguments: [
      ("position_encoding_2d", JSON.bool(false), "false is not implemented"),
      ("quantization_bit", 4, "4 is not implemented, only 0 is"),
      ("pre_seq_len", 128, "128 is not implemented"),
      ("multi_query_attention", true, "true is not implemented"),
      ("num_attention_heads", 4, "4 heads do not divide the hidden size 24 into multiples of four"),
      ("bos_token_id", 37, "37 is outside 0...36"), ("gmask_token_id", nil, "missing key"),
    ] as [(String, JSON?, String)]) func namesUnsupportedSetting(
      key: String, value: JSON?, cause: String
    ) throws
  {
    let scratch = try ScratchFolder()
    let path = reference.folder.appending(path: "config.json").path
    guard case .object(var members) = try JSON.read(path) else { return }
    members[key] = value
    _ = try scratch.write(JSON.object(members).text.utf8, to: "config.json")
    try FileManager.default.copyItem(
      atPath: reference.folder.appending(path: "model.safetensors").path,
      toPath: scratch.file("model.safetensors"))
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: scratch.path) }
    #expect(error?.cause.hasPrefix("config.json \(key): \(cause)") == true, "\(error?.cause ?? "")")
  }
}
