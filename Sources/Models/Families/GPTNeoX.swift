// GPT-NeoX (Black et al. 2022) and Pythia: causal decoder, partly turned heads, query, key and value
// together head by head, attention and feed-forward side by side.

import Bytes

enum GPTNeoX {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    let sizes = TransformerSizes(&configuration)
    let epsilon = configuration.positiveNumber("layer_norm_eps", fallback: 1e-5)
    let activation = configuration.activation("hidden_act", fallback: "gelu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: false)
    let rotary = RotarySettings(
      &configuration, .init(base: "rotary_emb_base", share: "rotary_pct", shareFallback: 0.25))
    let hasBias = configuration.bool("attention_bias", fallback: true)
    let isParallel = configuration.bool("use_parallel_residual", fallback: true)
    guard let sizes, let epsilon, let isTied, let hasBias, let isParallel,
      let positions = rotary?.positions(&configuration, sizes, key: "rotary_pct")
    else { return nil }

    let (query, key, value) = FusedProjection.groups(sizes).parts(
      "attention.query_key_value", bias: hasBias)
    let layer = LayerDescription(
      attention: AttentionDescription(
        query: query, key: key, value: value, output: .init("attention.dense", bias: hasBias),
        rotary: positions),
      feedForward: FeedForwardDescription(
        activation: activation, up: .init("mlp.dense_h_to_4h"), down: .init("mlp.dense_4h_to_h")),
      attentionNorms: NormPlaces(input: .layer("input_layernorm", epsilon)),
      feedForwardNorms: NormPlaces(input: .layer("post_attention_layernorm", epsilon)),
      isParallel: isParallel)
    return TransformerDescription(
      family: .gptNeoX, kind: .decoder, sizes: sizes,
      names: .prefixed(
        ["gpt_neox.", ""], of: "embed_in.weight", in: tensorNames, outside: ["embed_out"]),
      embedding: EmbeddingDescription(tokens: "embed_in.weight"),
      layers: Array(repeating: layer, count: sizes.layerCount),
      finalNorm: .layer("final_layer_norm", epsilon),
      head: .logits(isTied: isTied, .init("embed_out", bias: false)),
      // Causal masks and frequencies that old files hold.
      unusedKeys: (0..<sizes.layerCount).flatMap { index in
        ["bias", "masked_bias", "rotary_emb.inv_freq"].map { "layers.\(index).attention.\($0)" }
      })
  }
}
