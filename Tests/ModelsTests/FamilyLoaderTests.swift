// Every family: settings that change the mathematics and are not implemented are named.

import Bytes
import Checkpoints
import Foundation
import Models
import TestSupport
import Testing

@Suite struct FamilyLoaderTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func failure(_ name: String, _ changes: [String: JSON?]) throws -> String {
    let path = try FamilyVector.changed(name, changes, in: folder)
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: path) }
    return error?.cause ?? ""
  }

  private static let dynamic: JSON = ["rope_type": "dynamic", "factor": 2.0]
  private static let long: JSON = [
    "type": "longrope", "short_factor": [1.0, 1.0, 1.0], "long_factor": [2.0, 2.0, 2.0],
  ]

  @Test(
    arguments: [
      ("qwen2", "rope_scaling", dynamic, #"rope_scaling.rope_type: "dynamic" is not implemented"#),
      ("qwen2", "layer_types", ["full_attention"], "layer_types: expected an array of 2 strings"),
      (
        "qwen2", "layer_types", ["full_attention", "chunked_attention"],
        #"layer_types: "chunked_attention" is not implemented, only "full_attention" or "#
      ),
      ("qwen3", "hidden_act", "quick_gelu", #"hidden_act: "quick_gelu" is not implemented"#),
      ("phi3", "rope_scaling", long, #"rope_scaling.type: "longrope" is not implemented: its"#),
      ("phi3", "partial_rotary_factor", 1.5, "partial_rotary_factor: 1.5 is above 1"),
      ("gemma", "hidden_act", "relu", "hidden_act: is another function than hidden_activation"),
      ("gemma2", "query_pre_attn_scalar", 0, "query_pre_attn_scalar: 0.0 is not positive"),
      ("gemma3", "use_bidirectional_attention", true, "true is not implemented, only false is"),
      ("olmo2", "partial_rotary_factor", 0.5, "partial_rotary_factor: 0.5 is not implemented"),
      ("gpt-neox", "rotary_emb_base", 0.5, "rotary_emb_base: 0.5 is below 1"),
      ("gpt-neox", "rotary_pct", 0.01, "rotary_pct: heads of 0 elements cannot be turned"),
      ("gptj", "rotary_dim", 14, "rotary_dim: 14 of 12 elements cannot be turned by pairs"),
      ("gptj", "rotary_dim", 7, "rotary_dim: 7 of 12 elements cannot be turned by pairs"),
      ("falcon", "num_ln_in_parallel_attn", 3, "3 is outside 1...2"),
      ("falcon-groups", "parallel_attn", false, "false is not implemented in the new architect"),
      ("falcon-groups", "num_kv_heads", 3, "num_kv_heads: 3 key heads do not divide 4 query"),
      ("stablelm", "rope_scaling", dynamic, #""dynamic" is not implemented"#),
      ("roberta", "max_position_embeddings", 2, "2 rows, the first 2 are no positions"),
      ("roberta", "position_embedding_type", "relative_key", #""relative_key" is not implem"#),
      ("electra", "is_decoder", true, "is_decoder: true is not implemented"),
      ("mpnet", "relative_attention_num_buckets", 16, "16 is not implemented, only 32 is"),
      ("modernbert", "local_attention", 0, "local_attention: 0 is outside"),
      ("modernbert-classes", "classifier_pooling", "max", #""max" is not implemented, only "cls"#),
      ("t5-encoder", "feed_forward_proj", "gated-mish", #""gated-mish" is not implemented"#),
      ("t5-encoder", "relative_attention_num_buckets", 13, "13 buckets up to distance"),
      ("bert", "quantization_config", ["bits": 4], #"quantization_config: {"bits":4} is not"#),
    ] as [(String, String, JSON, String)])
  func namesUnsupportedSetting(model: String, key: String, value: JSON, cause: String) throws {
    let found = try failure(model, [key: value])
    #expect(found.contains("config.json \(key)") && found.contains(cause), "\(found)")
  }

  private static let old: JSON = ["type": "linear", "factor": 2.0]
  private static let new: JSON = ["rope_type": "linear", "factor": 4.0, "rope_theta": 9.0]

  /// Two settings of which library versions read one or the other.
  @Test func contradictionsAreRefused() throws {
    let base = try failure("llama", ["rope_theta": 500, "rope_parameters": ["rope_theta": 9.0]])
    #expect(
      base.contains(
        "config.json rope_theta: 500 contradicts rope_parameters.rope_theta, which is 9.0"))
    let scaling = try failure(
      "llama",
      [
        "rope_theta": 9, "rope_scaling": FamilyLoaderTests.old,
        "rope_parameters": FamilyLoaderTests.new,
      ])
    #expect(
      scaling
        == "config.json rope_scaling.factor: 2.0 contradicts rope_parameters.factor, which is 4.0")
    let slow = try failure("bloom", ["slow_but_exact": true, "pretraining_tp": 2])
    #expect(slow.hasPrefix("config.json slow_but_exact: true is not implemented where"))
  }

  /// The file of the setting is named, not that of the weights.
  @Test func theFileOfASettingIsNamed() throws {
    let path = try FamilyVector.changed("llama", ["hidden_act": "mish"], in: folder)
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: path) }
    #expect(error?.source == folder.file("config.json"))
  }

  private func activations(_ name: String, _ changes: [String: JSON?]) throws -> Set<Activation> {
    let path = try FamilyVector.changed(name, changes, in: folder)
    return Set(
      try ModelLoader.load(path: path).model.nodes.compactMap {
        if case .activation(_, let function) = $0.operation { function } else { nil }
      })
  }

  /// As the files of the first Gemma have it, where null is absent.
  @Test(
    arguments: [
      ["hidden_act": "gelu", "hidden_activation": "gelu_pytorch_tanh"],
      ["hidden_act": "gelu", "hidden_activation": .null],
      ["hidden_act": "gelu_pytorch_tanh", "hidden_activation": .null],
      ["hidden_act": .null, "hidden_activation": .null],
    ] as [[String: JSON]])
  func theFirstGemmaHasTheTanhForm(changes: [String: JSON]) throws {
    #expect(try activations("gemma", changes) == [.geluTanh])
    // The library's versions do not agree on what the first published files mean.
    let path = try FamilyVector.changed("gemma", changes, in: folder)
    let said = try ModelLoader.load(path: path).notices.contains {
      $0.hasPrefix("config.json hidden_act: \"gelu\" is taken for the tanh GELU")
    }
    #expect(said == (changes["hidden_act"] == "gelu"))
  }

  /// Both keys say so: no version takes another.
  @Test func theExactFormIsTakenWhereBothKeysSayIt() throws {
    let changes: [String: JSON?] = ["hidden_act": "gelu", "hidden_activation": "gelu"]
    #expect(try activations("gemma", changes) == [.gelu])
  }

  /// In a condition, null is false.
  @Test func nullIsFalse() throws {
    let cause = try failure("gpt2", ["scale_attn_weights": .null])
    #expect(cause.contains("scale_attn_weights: null is not implemented, only true is"))
    let path = try FamilyVector.changed("bert", ["is_decoder": .null], in: folder)
    #expect(try ModelLoader.load(path: path).model.family == "bert")
  }

  /// The library writes what it made of `feed_forward_proj`, and reads that back.
  @Test func keysOfTheirOwnCountInT5() throws {
    #expect(try activations("t5-encoder-gated", ["dense_act_fn": "relu"]) == [.relu])
    #expect(
      try activations(
        "t5-encoder-gated",
        ["feed_forward_proj": nil, "dense_act_fn": "gelu_new", "is_gated_act": true])
        == [.geluTanh])
    let cause = try failure("t5-encoder-gated", ["is_gated_act": false])
    #expect(cause.contains("wi.weight is missing"), "\(cause)")
  }

  @Test func scalingsOfGGUFAreNotOfConfigurations() throws {
    let cause = try failure(
      "llama", ["rope_scaling": ["rope_type": "factors", "factors": [1.0, 1.0, 1.0, 1.0]]])
    #expect(cause.contains(#"rope_scaling.rope_type: "factors" is not implemented"#))
  }

  @Test func listingsNameWholeKeys() {
    for family in FamilyDescription.all {
      for field in family.fields {
        #expect(!field.key.hasPrefix(".") && !field.key.hasSuffix("."), "\(family.name)")
      }
    }
    let bloom = FamilyDescription.all.first { $0.name == "bloom" }?.fields.map(\.key)
    #expect(bloom?.contains("seq_length") == true)
  }

  /// Keys that files often leave out have the library's own defaults.
  @Test func absentKeysAreTheLibrarysDefaults() throws {
    let types = try failure(
      "qwen3", ["head_dim": nil, "num_key_value_heads": nil, "layer_types": nil])
    #expect(types.contains("num_key_value_heads: 32 key heads do not divide 4 query heads"))
    let heads = try failure("gemma2", ["head_dim": nil])
    #expect(heads.contains("self_attn.q_proj.weight has shape [40, 24], expected [1024, 24]"))
  }

  // MARK: Parts of larger models

  /// A copy of the vector `name` with other tensor names, and tensors beside them.
  private func renamed(
    _ name: String, configuration: JSON, beside others: [String], _ rename: (String) -> String
  ) throws -> LoadedModel {
    let source = try ModelLoader.load(path: FamilyVector.root.appending(path: name).path)
    var builder = SafetensorsBuilder()
    for tensor in source.checkpoint.tensors {
      builder.add(
        rename(tensor.name), shape: tensor.shape, values: try source.checkpoint.floats(tensor.name))
    }
    for other in others { builder.add(other, shape: [2], values: [1, 2]) }
    _ = try folder.write(builder.bytes, to: "model.safetensors")
    _ = try folder.write(configuration.text.utf8, to: "config.json")
    return try ModelLoader.load(path: folder.path)
  }

  @Test(arguments: ["language_model.model.", "model.language_model."])
  func theTextPartOfAModelThatSees(prefix: String) throws {
    let path = FamilyVector.root.appending(path: "gemma3")
    let text = try JSON.read(path.appending(path: "config.json").path)
    let loaded = try renamed(
      "gemma3",
      configuration: [
        "model_type": "gemma3", "text_config": text,
        "architectures": ["Gemma3ForConditionalGeneration"],
      ], beside: ["vision_tower.a.weight", "multi_modal_projector.b"]
    ) { $0.replacing("model.", with: prefix, maxReplacements: 1) }
    #expect(loaded.model.family == "gemma3")
    #expect(loaded.unusedKeys == ["multi_modal_projector.b", "vision_tower.a.weight"])
    let vector = try #require(FamilyVector.all.first { $0.name == "gemma3" })
    let interpreter = try FloatInterpreter(loaded)
    let output = try vector.texts.flatMap { try interpreter.run(tokens: $0).values }
    #expect(largestDifference(output, try vector.outputs().values) < 1e-3)
  }
}
