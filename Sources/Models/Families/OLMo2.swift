// OLMo 2 (OLMo team 2024): LLaMA with norms on what parts write instead of what they read, and on
// whole rows of queries and keys.

import Bytes

enum OLMo2 {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    let sizes = TransformerSizes(&configuration, .grouped)
    let epsilon = configuration.positiveNumber("rms_norm_eps", fallback: 1e-5)
    let activation = configuration.activation("hidden_act", fallback: "silu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: false)
    let rotary = RotarySettings(&configuration)
    let hasBias = configuration.bool("attention_bias", fallback: false)
    guard let sizes, let epsilon, let isTied, let hasBias,
      let positions = rotary?.positions(&configuration, sizes)
    else { return nil }

    var layer = LLaMA.gatedLayer(
      activation, rotary: positions, hasBias: hasBias,
      attentionNorms: NormPlaces(output: .rootMeanSquare("post_attention_layernorm", epsilon)),
      feedForwardNorms: NormPlaces(output: .rootMeanSquare("post_feedforward_layernorm", epsilon)))
    layer.attention.queryNorm = .rootMeanSquare("self_attn.q_norm", epsilon)
    layer.attention.keyNorm = .rootMeanSquare("self_attn.k_norm", epsilon)
    layer.attention.normalisesHeads = false
    return LLaMA.describe(
      .olmo2, sizes, layers: Array(repeating: layer, count: sizes.layerCount),
      finalNorm: .rootMeanSquare("norm", epsilon), isTied: isTied,
      names: .prefixed(["model.", ""], of: "embed_tokens.weight", in: tensorNames))
  }
}
