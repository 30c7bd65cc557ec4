// Phi-3 (Abdin et al. 2024): LLaMA with one matrix for query, key and value, another for gate and
// up, and maybe a window.

import Bytes

enum Phi3 {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    let sizes = TransformerSizes(&configuration, .grouped)
    let epsilon = configuration.positiveNumber("rms_norm_eps", fallback: 1e-5)
    let activation = configuration.activation("hidden_act", fallback: "silu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: false)
    let rotary = RotarySettings(&configuration, .init(share: "partial_rotary_factor"))
    let window = configuration.window()
    guard let sizes, let epsilon, let isTied,
      let positions = rotary?.positions(&configuration, sizes)
    else { return nil }

    var layer = LLaMA.gatedLayer(
      activation, rotary: positions, window: window,
      attentionNorms: NormPlaces(input: .rootMeanSquare("input_layernorm", epsilon)),
      feedForwardNorms: NormPlaces(input: .rootMeanSquare("post_attention_layernorm", epsilon)))
    let attention = FusedProjection.blocks(sizes).parts("self_attn.qkv_proj", bias: false)
    (layer.attention.query, layer.attention.key, layer.attention.value) = attention
    let gated = FusedProjection.halves(
      "mlp.gate_up_proj", bias: false, innerWidth: sizes.innerWidth)
    (layer.feedForward.gate, layer.feedForward.up) = gated
    return LLaMA.describe(
      .phi3, sizes, layers: Array(repeating: layer, count: sizes.layerCount),
      finalNorm: .rootMeanSquare("norm", epsilon), isTied: isTied,
      names: .prefixed(["model.", ""], of: "embed_tokens.weight", in: tensorNames))
  }
}
