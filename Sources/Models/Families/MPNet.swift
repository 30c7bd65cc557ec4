// MPNet (Song et al. 2020): RoBERTa without segments, whose layers share a bias of scores by the
// distance between two positions.

import Bytes

enum MPNet {
  /// Row of the padding in the position table, whatever the configuration says.
  static let padding = 1
  /// The library computes with these, whatever the configuration says.
  static let buckets = RelativeBuckets(count: 32, maximumDistance: 128)

  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    let sizes = TransformerSizes(&configuration)
    let epsilon = configuration.positiveNumber("layer_norm_eps", fallback: 1e-12)
    let activation = configuration.activation("hidden_act", fallback: "gelu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    configuration.require("relative_attention_num_buckets", oneOf: [32], fallback: 32)
    let classCount = configuration.classCount()
    guard var sizes, let epsilon, let isTied,
      sizes.reservePositions(padding + 1, &configuration)
    else { return nil }

    let layer = LayerDescription(
      attention: AttentionDescription(
        query: .init("attention.attn.q"), key: .init("attention.attn.k"),
        value: .init("attention.attn.v"), output: .init("attention.attn.o"),
        relative: ("encoder.relative_attention_bias.weight", buckets)),
      feedForward: FeedForwardDescription(
        activation: activation, up: .init("intermediate.dense"), down: .init("output.dense")),
      attentionNorms: NormPlaces(sum: .layer("attention.LayerNorm", epsilon)),
      feedForwardNorms: NormPlaces(sum: .layer("output.LayerNorm", epsilon)))
    return TransformerDescription(
      family: .mpnet, kind: .encoder, sizes: sizes,
      names: .prefixed(
        ["", "mpnet."], of: BERT.tokenTable, in: tensorNames, outside: ["classifier", "lm_head"]),
      embedding: BERT.embedding(
        positions: (sizes.positions + padding + 1, padding + 1), segments: nil, epsilon),
      layerKey: "encoder.layer.", layers: Array(repeating: layer, count: sizes.layerCount),
      head: .states, heads: RoBERTa.heads(classCount, epsilon, isTied: isTied),
      unusedKeys: BERT.unusedKeys + ["lm_head.decoder.bias"])
  }
}
