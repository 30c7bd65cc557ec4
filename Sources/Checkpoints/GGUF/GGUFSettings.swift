// config.json of each architecture, from the metadata keys of its GGUF files.

import Bytes

/// A configuration in the making.
struct GGUFSettings {
  var metadata: GGUFMetadata
  let shapes: [String: [Int]]
  let architecture: String
  var members: [String: JSON] = [:]

  /// Whether the file has the tensor `name`.
  private func has(_ name: String) -> Bool { shapes[name] != nil }

  private func integer(_ member: String) -> Int? {
    if case .integer(let value)? = members[member] { value } else { nil }
  }

  /// The width of a head that follows from width and head count.
  private var dividedWidth: Int? {
    guard let width = integer("hidden_size"), let heads = integer("num_attention_heads"), heads > 0
    else { return nil }
    return width / heads
  }

  mutating func describe() {
    members["vocab_size"] = shapes["token_embd.weight"]?.first.map { .integer($0) }
    metadata.drop("vocab_size")
    switch architecture {
    case "gpt2": describeGPT2()
    case "bert": describeBERT()
    case "modern-bert": describeModernBERT()
    case "t5encoder": describeT5()
    default: describeDecoder()
    }
  }

  private mutating func describeSizes() {
    metadata.move("embedding_length", to: "hidden_size", of: &members)
    metadata.move("feed_forward_length", to: "intermediate_size", of: &members)
    metadata.move("block_count", to: "num_hidden_layers", of: &members)
    metadata.move("attention.head_count", to: "num_attention_heads", of: &members)
    metadata.move("context_length", to: "max_position_embeddings", of: &members)
  }

  // MARK: Decoders with the keys of LLaMA

  private mutating func describeDecoder() {
    describeSizes()
    metadata.move(
      "attention.head_count_kv", to: "num_key_value_heads", of: &members,
      fallback: members["num_attention_heads"])
    members["tie_word_embeddings"] = .bool(!has("output.weight"))
    metadata.require("expert_count", oneOf: [0])
    metadata.require("expert_used_count", oneOf: [0])
    metadata.require("attention.causal", oneOf: [true])
    metadata.drop("tensor_data_layout")
    describeEpsilon()
    describeFamily()
    // Frequencies that the file holds are scaled already.
    let scaling = takeScaling()
    if members["rope_scaling"] == nil { members["rope_scaling"] = scaling }
  }

  private mutating func describeEpsilon() {
    switch architecture {
    case "gptneox", "stablelm":
      metadata.move("attention.layer_norm_epsilon", to: "layer_norm_eps", of: &members)
    case "falcon", "bloom":
      metadata.move("attention.layer_norm_epsilon", to: "layer_norm_epsilon", of: &members)
    case "starcoder2":
      metadata.move("attention.layer_norm_epsilon", to: "norm_epsilon", of: &members)
    default:
      metadata.move("attention.layer_norm_rms_epsilon", to: "rms_norm_eps", of: &members)
    }
  }

  private mutating func describeFamily() {
    if has("blk.0.attn_q.bias") || has("blk.0.attn_qkv.bias") { members["attention_bias"] = true }
    switch architecture {
    case "falcon":
      describeFalcon()
      describeRotary(base: "rope_theta")
    case "bloom":
      metadata.require("attention.max_alibi_bias", oneOf: [8.0])
      members["seq_length"] = members.removeValue(forKey: "max_position_embeddings")
    case "gptneox":
      members["use_parallel_residual"] = metadata.take("use_parallel_residual")
      members["attention_bias"] = .bool(has("blk.0.attn_qkv.bias"))
      describeRotary(base: "rotary_emb_base", share: "rotary_pct")
    case "stablelm":
      members["use_parallel_residual"] = metadata.take("use_parallel_residual") ?? false
      members["use_qkv_bias"] = .bool(has("blk.0.attn_q.bias"))
      members["qk_layernorm"] = .bool(has("blk.0.attn_q_norm.weight"))
      describeRotary(base: "rope_theta", share: "partial_rotary_factor")
    case "phi3":
      describeWindow()
      describeRotary(base: "rope_theta", share: "partial_rotary_factor")
    default:
      describeHeadWidth()
      describeRotary(base: "rope_theta")
      describeGated()
    }
  }

  /// Families whose heads may have a width of their own.
  private mutating func describeGated() {
    switch architecture {
    case "llama":
      members["hidden_act"] = "silu"
      if has("blk.0.ffn_up.bias") { members["mlp_bias"] = true }
      // The one with a window is a Mistral; for the other it would be an unknown setting.
      describeWindow()
      if let window = members["sliding_window"], window != .null {
        members["model_type"] = "mistral"
      }
    case "starcoder2":
      members["use_bias"] = .bool(has("blk.0.attn_q.bias"))
      describeWindow()
    case "gemma2", "gemma3":
      describeWindow()
      // The 27B models, which their numbers of layers tell, scale scores by another width.
      let isLargest = integer("num_hidden_layers") == (architecture == "gemma2" ? 46 : 62)
      members["query_pre_attn_scalar"] =
        isLargest
        ? dividedWidth.map { .integer($0) } : members["head_dim"]
      members["attn_logit_softcapping"] =
        metadata.take("attn_logit_softcapping") ?? (architecture == "gemma2" ? 50.0 : .null)
      members["final_logit_softcapping"] =
        metadata.take("final_logit_softcapping") ?? (architecture == "gemma2" ? 30.0 : .null)
      members["rope_local_base_freq"] = metadata.take("rope.freq_base_swa")
    default: break
    }
  }

  private mutating func describeFalcon() {
    let keyHeads = integer("num_key_value_heads") ?? 1
    let hasTwoNorms = has("blk.0.attn_norm_2.weight")
    members["ffn_hidden_size"] = members["intermediate_size"]
    members["num_kv_heads"] = .integer(keyHeads)
    members["new_decoder_architecture"] = .bool(hasTwoNorms || keyHeads > 1)
    members["num_ln_in_parallel_attn"] = .integer(hasTwoNorms ? 2 : 1)
    members["bias"] = members["attention_bias"] ?? false
  }

  /// Zero stands for none.
  private mutating func describeWindow() {
    guard let window = metadata.take("attention.sliding_window") else { return }
    members["sliding_window"] = window == 0 ? .null : window
  }

  private mutating func describeHeadWidth() {
    var headWidth = dividedWidth
    if let width = metadata.take("attention.key_length") {
      if case .integer(let value) = width { headWidth = value }
      members["head_dim"] = width
    } else if architecture == "qwen3" || architecture.hasPrefix("gemma") {
      // Absent, it would be the library's default.
      members["head_dim"] = headWidth.map { .integer($0) }
    }
    metadata.require("attention.value_length", oneOf: [headWidth.map { .integer($0) }])
  }

  /// The base is 10000 where the file does not say it; all of a head is turned unless `share`
  /// names a key for the part that is.
  private mutating func describeRotary(base: String, share: String? = nil) {
    metadata.move("rope.freq_base", to: base, of: &members, fallback: 10000.0)
    let headWidth = integer("head_dim") ?? dividedWidth
    if let share, let headWidth, case .integer(let turned)? = metadata.take("rope.dimension_count")
    {
      members[share] = .number(Double(turned) / Double(headWidth))
    } else {
      metadata.require("rope.dimension_count", oneOf: [headWidth.map { .integer($0) }])
    }
  }

  private mutating func takeScaling() -> JSON? {
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
    for name in ["beta_fast", "beta_slow"] {
      if let value = metadata.take("rope.scaling.yarn_\(name)") { scaling[name] = value }
    }
    guard !scaling.isEmpty else { return nil }
    scaling["original_max_position_embeddings"] = length
    return .object(scaling)
  }

  // MARK: Others

  private mutating func describeGPT2() {
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
    members["tie_word_embeddings"] = .bool(!has("output.weight"))
  }

  private mutating func describeBERT() {
    describeSizes()
    metadata.move("attention.layer_norm_epsilon", to: "layer_norm_eps", of: &members)
    metadata.require("attention.causal", oneOf: [false])
    takePooling()
    members["hidden_act"] = "gelu"
    members["type_vocab_size"] = shapes["token_types.weight"]?.first.map { .integer($0) } ?? 0
  }

  private mutating func describeModernBERT() {
    describeSizes()
    metadata.move("attention.layer_norm_epsilon", to: "norm_eps", of: &members)
    metadata.drop("attention.layer_norm_rms_epsilon")
    metadata.require("attention.causal", oneOf: [false])
    takePooling()
    metadata.drop("classifier.pooling_type")
    metadata.move("attention.sliding_window", to: "local_attention", of: &members)
    metadata.move(
      "attention.sliding_window_pattern", to: "global_attn_every_n_layers", of: &members,
      fallback: 3)
    metadata.move("rope.freq_base", to: "global_rope_theta", of: &members, fallback: 160_000.0)
    metadata.move("rope.freq_base_swa", to: "local_rope_theta", of: &members, fallback: 10_000.0)
    metadata.require("rope.scaling.type", oneOf: ["none"])
    metadata.move("hidden_activation", to: "hidden_activation", of: &members, fallback: "gelu")
    members["norm_bias"] = .bool(has("output_norm.bias"))
    members["attention_bias"] = .bool(has("blk.0.attn_qkv.bias"))
    members["mlp_bias"] = .bool(has("blk.0.ffn_up.bias"))
  }

  private mutating func describeT5() {
    metadata.move("embedding_length", to: "d_model", of: &members)
    metadata.move("feed_forward_length", to: "d_ff", of: &members)
    metadata.move("block_count", to: "num_layers", of: &members)
    metadata.move("attention.head_count", to: "num_heads", of: &members)
    metadata.move("context_length", to: "n_positions", of: &members)
    metadata.move("attention.layer_norm_rms_epsilon", to: "layer_norm_epsilon", of: &members)
    metadata.drop("attention.layer_norm_epsilon")
    metadata.move("attention.key_length", to: "d_kv", of: &members)
    metadata.require("attention.value_length", oneOf: [members["d_kv"]])
    metadata.require("attention.head_count_kv", oneOf: [members["num_heads"]])
    metadata.move(
      "attention.relative_buckets_count", to: "relative_attention_num_buckets", of: &members)
    takePooling()
    metadata.drop("decoder_start_token_id")
    members["feed_forward_proj"] = has("enc.blk.0.ffn_gate.weight") ? "gated-gelu" : "relu"
  }

  /// How an embedding is made of the rows of a text, by the numbers of llama.cpp.
  private mutating func takePooling() {
    switch metadata.take("pooling_type") {
    case 1: members["pooling_mode"] = "mean"
    case 2: members["pooling_mode"] = "cls"
    default: break
    }
  }
}
