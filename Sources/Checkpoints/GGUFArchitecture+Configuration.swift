// config.json of each architecture, from the metadata keys of its GGUF files.

import Bytes

extension GGUFArchitecture {
  static func describeLLaMA(
    _ metadata: inout GGUFMetadata, _ members: inout [String: JSON], hasOutput: Bool
  ) {
    metadata.move("embedding_length", to: "hidden_size", of: &members)
    metadata.move("feed_forward_length", to: "intermediate_size", of: &members)
    metadata.move("block_count", to: "num_hidden_layers", of: &members)
    metadata.move("attention.head_count", to: "num_attention_heads", of: &members)
    metadata.move(
      "attention.head_count_kv", to: "num_key_value_heads", of: &members,
      fallback: members["num_attention_heads"])
    metadata.move("context_length", to: "max_position_embeddings", of: &members)
    metadata.move("attention.layer_norm_rms_epsilon", to: "rms_norm_eps", of: &members)
    metadata.move("rope.freq_base", to: "rope_theta", of: &members, fallback: 10000.0)
    members["hidden_act"] = "silu"
    members["tie_word_embeddings"] = .bool(!hasOutput)

    var headWidth: Int?
    if case .integer(let width)? = members["hidden_size"],
      case .integer(let heads)? = members["num_attention_heads"], heads > 0
    {
      headWidth = width / heads
    }
    if let width = metadata.take("attention.key_length") {
      members["head_dim"] = width
      if case .integer(let value) = width { headWidth = value }
    }
    metadata.require("attention.value_length", oneOf: [headWidth.map { .integer($0) }])
    metadata.require("rope.dimension_count", oneOf: [headWidth.map { .integer($0) }])
    metadata.require("expert_count", oneOf: [0])
    metadata.require("expert_used_count", oneOf: [0])
    metadata.require("attention.causal", oneOf: [true])
    metadata.drop("tensor_data_layout")
    if let window = metadata.take("attention.sliding_window"), window != 0 {
      members["sliding_window"] = window
    }
    describeScaling(&metadata, &members)
  }

  private static func describeScaling(
    _ metadata: inout GGUFMetadata, _ members: inout [String: JSON]
  ) {
    var scaling: [String: JSON] = [:]
    if let type = metadata.take("rope.scaling.type"), type != "none" { scaling["type"] = type }
    if let factor = metadata.take("rope.scaling.factor") ?? metadata.take("rope.scale_linear"),
      factor != 1.0
    {
      scaling["factor"] = factor
      if scaling["type"] == nil { scaling["type"] = "linear" }
    }
    let length = metadata.take("rope.scaling.original_context_length")
    metadata.drop("rope.scaling.finetuned")
    guard !scaling.isEmpty else { return }
    scaling["original_max_position_embeddings"] = length
    members["rope_scaling"] = .object(scaling)
  }

  static func describeGPT2(
    _ metadata: inout GGUFMetadata, _ members: inout [String: JSON], _ shapes: [String: [Int]]
  ) {
    metadata.move("embedding_length", to: "n_embd", of: &members)
    metadata.move("feed_forward_length", to: "n_inner", of: &members, fallback: .null)
    metadata.move("block_count", to: "n_layer", of: &members)
    metadata.move("attention.head_count", to: "n_head", of: &members)
    metadata.move("context_length", to: "n_positions", of: &members)
    metadata.move("attention.layer_norm_epsilon", to: "layer_norm_epsilon", of: &members)
    metadata.require("attention.causal", oneOf: [true])
    members["activation_function"] = "gelu_new"
    // The converter writes the output matrix a second time when it is tied, too; a reader that
    // takes it as its own is right in either case.
    members["tie_word_embeddings"] = .bool(shapes["output.weight"] == nil)
  }

  static func describeBERT(
    _ metadata: inout GGUFMetadata, _ members: inout [String: JSON], _ shapes: [String: [Int]]
  ) {
    metadata.move("embedding_length", to: "hidden_size", of: &members)
    metadata.move("feed_forward_length", to: "intermediate_size", of: &members)
    metadata.move("block_count", to: "num_hidden_layers", of: &members)
    metadata.move("attention.head_count", to: "num_attention_heads", of: &members)
    metadata.move("context_length", to: "max_position_embeddings", of: &members)
    metadata.move("attention.layer_norm_epsilon", to: "layer_norm_eps", of: &members)
    metadata.require("attention.causal", oneOf: [false])
    metadata.drop("pooling_type")
    members["hidden_act"] = "gelu"
    members["type_vocab_size"] = shapes["token_types.weight"]?.first.map { .integer($0) } ?? 2
  }
}
