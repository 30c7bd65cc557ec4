// LLaMA (Touvron et al. 2023) and Mistral (Jiang et al. 2023): causal decoder, RMSNorm before each
// part, rotary positions, grouped-query attention, SwiGLU.

import Bytes

enum LLaMA {
  static func describe(
    _ configuration: inout Configuration, family: Family, tensorNames: Set<String>
  ) -> TransformerDescription? {
    if family == .mistral {
      configuration.defaults = ["num_key_value_heads": 8, "sliding_window": 4096]
    }
    let sizes = TransformerSizes(&configuration, .grouped)
    let epsilon = configuration.positiveNumber("rms_norm_eps", fallback: 1e-6)
    let activation = configuration.activation("hidden_act", fallback: "silu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: false)
    let rotary = RotarySettings(&configuration)
    let window = configuration.window()
    let hasBias = configuration.bool("attention_bias", fallback: false)
    let hasInnerBias = configuration.bool("mlp_bias", fallback: false)
    configuration.requireEach("layer_types", "full_attention")
    guard let sizes, let epsilon, let isTied, let hasBias, let hasInnerBias,
      let positions = rotary?.positions(&configuration, sizes)
    else { return nil }
    // The library ignores the key for this family; whoever wrote it may have meant it.
    if family == .llama, let window, window < sizes.positions {
      configuration.fail(
        "sliding_window",
        "\(window) is not implemented for texts of up to max_position_embeddings = "
          + "\(sizes.positions): this family has no window, \"mistral\" has")
    }

    let layer = gatedLayer(
      activation, rotary: positions, window: window, hasBias: hasBias, hasInnerBias: hasInnerBias,
      attentionNorms: NormPlaces(input: .rootMeanSquare("input_layernorm", epsilon)),
      feedForwardNorms: NormPlaces(input: .rootMeanSquare("post_attention_layernorm", epsilon)))
    return describe(
      family, sizes, layers: Array(repeating: layer, count: sizes.layerCount),
      finalNorm: .rootMeanSquare("norm", epsilon), isTied: isTied, names: names(of: tensorNames))
  }

  /// A layer with the tensors of LLaMA, which many families have.
  static func gatedLayer(
    _ activation: Activation, rotary: RotaryPositions, window: Int? = nil, hasBias: Bool = false,
    hasInnerBias: Bool = false, attentionNorms: NormPlaces, feedForwardNorms: NormPlaces
  ) -> LayerDescription {
    LayerDescription(
      attention: AttentionDescription(
        query: .init("self_attn.q_proj", bias: hasBias),
        key: .init("self_attn.k_proj", bias: hasBias),
        value: .init("self_attn.v_proj", bias: hasBias),
        output: .init("self_attn.o_proj", bias: hasBias), rotary: rotary, window: window),
      feedForward: FeedForwardDescription(
        activation: activation, gate: .init("mlp.gate_proj", bias: hasInnerBias),
        up: .init("mlp.up_proj", bias: hasInnerBias),
        down: .init("mlp.down_proj", bias: hasInnerBias)),
      attentionNorms: attentionNorms, feedForwardNorms: feedForwardNorms)
  }

  /// A decoder of `layers` with the tensors of LLaMA around them.
  static func describe(
    _ family: Family, _ sizes: TransformerSizes, layers: [LayerDescription],
    finalNorm: NormDescription, isTied: Bool, names: NameTable
  ) -> TransformerDescription {
    TransformerDescription(
      family: family, kind: .decoder, sizes: sizes, names: names,
      embedding: EmbeddingDescription(tokens: "embed_tokens.weight"), layers: layers,
      finalNorm: finalNorm, head: .logits(isTied: isTied),
      // Frequencies that old files hold.
      unusedKeys: (0..<sizes.layerCount).map { "layers.\($0).self_attn.rotary_emb.inv_freq" })
  }

  static func names(of tensorNames: Set<String>) -> NameTable {
    if let root = NameTable.root(before: "reversible_embedding/vars/0", in: tensorNames) {
      return NameTable(name: "Keras 3", matrices: .inputAxesOutputAxes) { root + kerasKey($0) }
    }
    return .prefixed(["model.", ""], of: "embed_tokens.weight", in: tensorNames)
  }

  /// Layers of KerasHub's LlamaBackbone by the stems of Hugging Face's keys.
  private static let kerasNames = [
    "embed_tokens": "reversible_embedding/vars/0",
    "lm_head": "reversible_embedding/vars/1",
    "norm": "llama_layer_norm/vars/0",
    "input_layernorm": "_self_attention_layernorm/vars/0",
    "self_attn.q_proj": "_self_attention_layer/_query_dense/vars/0",
    "self_attn.k_proj": "_self_attention_layer/_key_dense/vars/0",
    "self_attn.v_proj": "_self_attention_layer/_value_dense/vars/0",
    "self_attn.o_proj": "_self_attention_layer/_output_dense/vars/0",
    "post_attention_layernorm": "_feedforward_layernorm/vars/0",
    "mlp.gate_proj": "_feedforward_gate_dense/vars/0",
    "mlp.up_proj": "_feedforward_intermediate_dense/vars/0",
    "mlp.down_proj": "_feedforward_output_dense/vars/0",
  ]

  /// "layers.2.mlp.up_proj.weight" as
  /// "llama_transformer_decoder_2/_feedforward_intermediate_dense/vars/0".
  private static func kerasKey(_ key: String) -> String {
    let parts = key.split(separator: ".").dropLast()
    guard parts.first == "layers", parts.count > 2 else {
      return kerasNames[parts.joined(separator: ".")] ?? key
    }
    let stem = parts.dropFirst(2).joined(separator: ".")
    let number = parts[1] == "0" ? "" : "_\(parts[1])"
    return "llama_transformer_decoder\(number)/\(kerasNames[stem] ?? stem)"
  }
}
