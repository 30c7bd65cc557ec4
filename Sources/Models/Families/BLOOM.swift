// BLOOM (Le Scao et al. 2022): causal decoder, ALiBi, a norm behind the token table, query, key and
// value together head by head, tanh GELU.

import Bytes

enum BLOOM {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    // No position limits a text; published files say how long those of the training were.
    configuration.defaults = ["seq_length": 2048]
    let sizes = TransformerSizes(
      &configuration,
      .init(
        width: ["hidden_size", "n_embed"], innerWidth: nil, innerWidthMultiple: 4,
        headCount: ["n_head", "num_attention_heads"],
        layerCount: ["n_layer", "num_hidden_layers"],
        positions: ["seq_length", "max_position_embeddings"]))
    let epsilon = configuration.positiveNumber("layer_norm_epsilon", fallback: 1e-5)
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    let residualIsNormalised = configuration.bool(
      "apply_residual_connection_post_layernorm", fallback: false)
    let sliceCount = configuration.integer(
      "pretraining_tp", in: Limits.width, fallback: 1, meaning: "1")
    if configuration.bool("slow_but_exact", fallback: false) == true, sliceCount ?? 1 > 1 {
      configuration.fail(
        "slow_but_exact",
        "true is not implemented where pretraining_tp is above 1: sums by slices leave out biases")
    }
    guard let sizes, let epsilon, let isTied, let residualIsNormalised else { return nil }

    let (query, key, value) = FusedProjection.groups(sizes).parts("self_attention.query_key_value")
    let layer = LayerDescription(
      attention: AttentionDescription(
        query: query, key: key, value: value, output: .init("self_attention.dense"),
        slopes: ALiBi.slopes(sizes.headCount)),
      feedForward: FeedForwardDescription(
        activation: .geluTanh, up: .init("mlp.dense_h_to_4h"), down: .init("mlp.dense_4h_to_h")),
      attentionNorms: NormPlaces(input: .layer("input_layernorm", epsilon)),
      feedForwardNorms: NormPlaces(input: .layer("post_attention_layernorm", epsilon)),
      residualIsNormalised: residualIsNormalised)
    return TransformerDescription(
      family: .bloom, kind: .decoder, sizes: sizes,
      names: .prefixed(["transformer.", ""], of: "word_embeddings.weight", in: tensorNames),
      embedding: EmbeddingDescription(
        tokens: "word_embeddings.weight", norm: .layer("word_embeddings_layernorm", epsilon)),
      layerKey: "h.", layers: Array(repeating: layer, count: sizes.layerCount),
      finalNorm: .layer("ln_f", epsilon), head: .logits(isTied: isTied))
  }
}
