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

  /// The path of the vector `name` with a changed configuration; nil removes a key.
  private func changed(_ name: String, _ changes: [String: JSON?]) throws -> String {
    let source = FamilyVector.root.appending(path: name)
    let path = source.appending(path: "config.json").path
    guard case .object(var members) = try JSON.read(path) else { throw InputError(path, "") }
    for (key, value) in changes { members[key] = value }
    _ = try folder.write(JSON.object(members).text.utf8, to: "config.json")
    let weights = try Data(contentsOf: source.appending(path: "model.safetensors"))
    _ = try folder.write(weights, to: "model.safetensors")
    return folder.path
  }

  private func failure(_ name: String, _ changes: [String: JSON?]) throws -> String {
    let path = try changed(name, changes)
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
