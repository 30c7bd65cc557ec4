// StableLM (Stability AI 2023): LLaMA with LayerNorm, partly turned heads, and maybe a parallel
// residual.

import Bytes

enum StableLM {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    configuration.defaults = ["num_key_value_heads": 32]
    var keys = TransformerSizes.Keys.grouped
    keys.headWidth = nil
    let sizes = TransformerSizes(&configuration, keys)
    let epsilon = configuration.positiveNumber("layer_norm_eps", fallback: 1e-5)
    let activation = configuration.activation("hidden_act", fallback: "silu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: false)
    let rotary = RotarySettings(
      &configuration, .init(share: "partial_rotary_factor", shareFallback: 0.25))
    let hasBias = configuration.bool("use_qkv_bias", fallback: false)
    let isParallel = configuration.bool("use_parallel_residual", fallback: false)
    configuration.require("qk_layernorm", oneOf: [false], fallback: false)
    guard let sizes, let epsilon, let isTied, let hasBias, let isParallel,
      let positions = rotary?.positions(
        &configuration, sizes, key: "partial_rotary_factor")
    else { return nil }

    var layer = LLaMA.gatedLayer(
      activation, rotary: positions, hasBias: hasBias,
      attentionNorms: NormPlaces(input: .layer("input_layernorm", epsilon)),
      feedForwardNorms: NormPlaces(
        input: isParallel ? nil : .layer("post_attention_layernorm", epsilon)))
    layer.attention.output.bias = nil
    layer.isParallel = isParallel
    return LLaMA.describe(
      .stablelm, sizes, layers: Array(repeating: layer, count: sizes.layerCount),
      finalNorm: .layer("norm", epsilon), isTied: isTied,
      names: .prefixed(["model.", ""], of: "embed_tokens.weight", in: tensorNames))
  }
}
