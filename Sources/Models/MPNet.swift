// MPNet (Song et al. 2020): BERT without segments, with relative positions besides the learned ones,
// which begin at row 2.

import Bytes

enum MPNet {
  /// The row of position 0.
  static let positionOffset = 2
  /// The library takes these whatever the configuration says.
  static let buckets = RelativeBuckets(count: 32, maximumDistance: 128)

  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    var sizes = TransformerSizes(&configuration)
    let epsilon = configuration.positiveNumber("layer_norm_eps", fallback: 1e-12)
    let activation = configuration.activation("hidden_act", fallback: "gelu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    configuration.require("relative_attention_num_buckets", oneOf: [32], fallback: 32)
    let classes = configuration.classCount()
    guard let rowCount = sizes?.positions, let epsilon, let isTied else { return nil }
    guard rowCount > positionOffset else {
      configuration.fail("max_position_embeddings", "\(rowCount) rows leave no positions")
      return nil
    }
    sizes?.positions -= positionOffset
    guard let sizes else { return nil }

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
        ["", "mpnet."], of: "embeddings.word_embeddings.weight", in: tensorNames,
        outside: ["lm_head", "classifier"]),
      embedding: EmbeddingDescription(
        tokens: "embeddings.word_embeddings.weight",
        positions: ("embeddings.position_embeddings.weight", rowCount, positionOffset),
        norm: .layer("embeddings.LayerNorm", epsilon)),
      layerKey: "encoder.layer.", layers: Array(repeating: layer, count: sizes.layerCount),
      head: .states,
      tasks: [
        .masked: .masked(
          .init("lm_head.dense"), .gelu, .layer("lm_head.layer_norm", epsilon),
          .init(weight: "lm_head.decoder.weight", bias: "lm_head.bias"), isTied: isTied),
        .classes: .classes(
          .init("classifier.dense"), .tanh, .init("classifier.out_proj"), count: classes),
        .tokenClasses: .tokenClasses(count: classes),
      ],
      unusedKeys: [
        "pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids",
        "lm_head.decoder.bias",
      ])
  }
}
