// DistilBERT (Sanh et al. 2019): BERT without segments, under names of its own.

import Bytes

enum DistilBERT {
  /// Epsilon of every normalisation; the configuration does not hold it.
  static let epsilon = 1e-12

  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    let sizes = TransformerSizes(
      &configuration,
      .init(
        width: ["dim"], innerWidth: "hidden_dim", headCount: ["n_heads"],
        layerCount: ["n_layers"]))
    let activation = configuration.activation("activation", fallback: "gelu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    let classes = configuration.classCount()
    guard let sizes, let isTied else { return nil }

    let layer = LayerDescription(
      attention: AttentionDescription(
        query: .init("attention.q_lin"), key: .init("attention.k_lin"),
        value: .init("attention.v_lin"), output: .init("attention.out_lin")),
      feedForward: FeedForwardDescription(
        activation: activation, up: .init("ffn.lin1"), down: .init("ffn.lin2")),
      attentionNorms: NormPlaces(sum: .layer("sa_layer_norm", epsilon)),
      feedForwardNorms: NormPlaces(sum: .layer("output_layer_norm", epsilon)))
    return TransformerDescription(
      family: .distilbert, kind: .encoder, sizes: sizes,
      names: .prefixed(
        ["", "distilbert."], of: "embeddings.word_embeddings.weight", in: tensorNames,
        outside: [
          "vocab_transform", "vocab_layer_norm", "vocab_projector", "pre_classifier", "classifier",
        ]),
      embedding: EmbeddingDescription(
        tokens: "embeddings.word_embeddings.weight",
        positions: ("embeddings.position_embeddings.weight", sizes.positions, 0),
        norm: .layer("embeddings.LayerNorm", epsilon)),
      layerKey: "transformer.layer.", layers: Array(repeating: layer, count: sizes.layerCount),
      head: .states,
      tasks: [
        .masked: .masked(
          .init("vocab_transform"), activation, .layer("vocab_layer_norm", epsilon),
          .init("vocab_projector"), isTied: isTied),
        .classes: .classes(.init("pre_classifier"), .relu, .init("classifier"), count: classes),
        .tokenClasses: .tokenClasses(count: classes),
      ], unusedKeys: ["embeddings.position_ids"])
  }
}
