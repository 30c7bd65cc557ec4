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
        width: ["dim", "hidden_size"], innerWidth: "hidden_dim",
        headCount: ["n_heads", "num_attention_heads"],
        layerCount: ["n_layers", "num_hidden_layers"]
      ))
    let activation = configuration.activation("activation", fallback: "gelu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    let classCount = configuration.classCount()
    guard let sizes, let isTied else { return nil }

    let layer = LayerDescription(
      attention: AttentionDescription(
        query: .init("attention.q_lin"), key: .init("attention.k_lin"),
        value: .init("attention.v_lin"), output: .init("attention.out_lin")),
      feedForward: FeedForwardDescription(
        activation: activation, up: .init("ffn.lin1"), down: .init("ffn.lin2")),
      attentionNorms: NormPlaces(sum: .layer("sa_layer_norm", epsilon)),
      feedForwardNorms: NormPlaces(sum: .layer("output_layer_norm", epsilon)))
    var heads = [
      HeadDescription.tokenLogits(
        .init("vocab_transform"), activation, norm: .layer("vocab_layer_norm", epsilon),
        matrix: .init("vocab_projector"), isTied: isTied)
    ]
    if let classCount {
      heads += [
        .classes(classCount, transform: .init("pre_classifier"), .relu), .tokenClasses(classCount),
      ]
    }
    return TransformerDescription(
      family: .distilbert, kind: .encoder, sizes: sizes,
      names: .prefixed(
        ["", "distilbert."], of: BERT.tokenTable, in: tensorNames,
        outside: [
          "classifier", "pre_classifier", "vocab_transform", "vocab_layer_norm", "vocab_projector",
        ]),
      embedding: BERT.embedding(positions: (sizes.positions, 0), segments: nil, epsilon),
      layerKey: "transformer.layer.", layers: Array(repeating: layer, count: sizes.layerCount),
      head: .states, heads: heads, unusedKeys: ["embeddings.position_ids"])
  }
}
