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
    let hasHeadNorms = configuration.bool("qk_layernorm", fallback: false)
    guard let sizes, let epsilon, let isTied, let hasBias, let isParallel, let hasHeadNorms,
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
    if hasHeadNorms {
      layer.attention.queryNorm = headNorm("self_attn.q_layernorm", sizes.headCount, epsilon)
      layer.attention.keyNorm = headNorm("self_attn.k_layernorm", sizes.keyHeadCount, epsilon)
    }
    return LLaMA.describe(
      .stablelm, sizes, layers: Array(repeating: layer, count: sizes.layerCount),
      finalNorm: .layer("norm", epsilon), isTied: isTied,
      names: .prefixed(["model.", ""], of: "embed_tokens.weight", in: tensorNames))
  }

  /// A norm of each of `count` heads with a gamma of its own.
  private static func headNorm(_ key: String, _ count: Int, _ epsilon: Double) -> NormDescription {
    let gammas = (0..<count).map { "\(key).norms.\($0).weight" }
    return NormDescription(
      isCentred: true, gamma: gammas.first, moreGammas: Array(gammas.dropFirst()),
      epsilon: epsilon)
  }
}
