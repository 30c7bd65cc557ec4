// ELECTRA (Clark et al. 2020): BERT whose tables may be narrower than the layers.

import Bytes

enum ELECTRA {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    let sizes = TransformerSizes(&configuration)
    let tokenWidth = configuration.integer(
      "embedding_size", in: Limits.width, fallback: 128, meaning: "128")
    let segments = configuration.integer(
      "type_vocab_size", in: Limits.vocabulary, fallback: 2, meaning: "2")
    let epsilon = configuration.positiveNumber("layer_norm_eps", fallback: 1e-12)
    let activation = configuration.activation("hidden_act", fallback: "gelu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    BERT.requireEncoder(&configuration)
    let classCount = configuration.classCount()
    guard let sizes, let tokenWidth, let segments, let epsilon, let isTied else { return nil }

    var embedding = BERT.embedding(positions: (sizes.positions, 0), segments: segments, epsilon)
    embedding.width = tokenWidth
    if tokenWidth != sizes.width { embedding.projection = .init("embeddings_project") }
    var heads = [
      HeadDescription.tokenLogits(
        .init("generator_predictions.dense"), width: tokenWidth, .gelu,
        norm: .layer("generator_predictions.LayerNorm", epsilon),
        matrix: .init("generator_lm_head"), isTied: isTied)
    ]
    if let classCount {
      heads += [
        .classes(
          classCount, transform: .init("classifier.dense"), .gelu, scores: "classifier.out_proj"),
        .tokenClasses(classCount),
      ]
    }
    return TransformerDescription(
      family: .electra, kind: .encoder, sizes: sizes,
      names: .prefixed(
        ["", "electra."], of: BERT.tokenTable, in: tensorNames,
        outside: ["classifier", "generator_predictions", "generator_lm_head"]),
      embedding: embedding, layerKey: "encoder.layer.",
      layers: Array(repeating: BERT.layer(activation, epsilon), count: sizes.layerCount),
      head: .states, heads: heads, unusedKeys: ["embeddings.position_ids"])
  }
}
