// BERT (Devlin et al. 2019): encoder, learned positions, normalisation after each residual sum.

import Bytes

enum BERT {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    let sizes = TransformerSizes(&configuration)
    let segments = configuration.integer("type_vocab_size", in: Limits.vocabulary)
    let epsilon = configuration.positiveNumber("layer_norm_eps")
    let activation = configuration.activation("hidden_act", fallback: "gelu")
    configuration.require("position_embedding_type", oneOf: ["absolute"], fallback: "absolute")
    configuration.require("is_decoder", oneOf: [false], fallback: false)
    configuration.require("add_cross_attention", oneOf: [false], fallback: false)
    guard let sizes, let segments, let epsilon else { return nil }

    let layer = LayerDescription(
      attention: AttentionDescription(
        query: .init("attention.self.query"), key: .init("attention.self.key"),
        value: .init("attention.self.value"), output: .init("attention.output.dense")),
      feedForward: FeedForwardDescription(
        activation: activation, up: .init("intermediate.dense"), down: .init("output.dense")),
      attentionNorms: NormPlaces(sum: .layer("attention.output.LayerNorm", epsilon)),
      feedForwardNorms: NormPlaces(sum: .layer("output.LayerNorm", epsilon)))
    return TransformerDescription(
      family: .bert, kind: .encoder, sizes: sizes,
      names: tensorFlowNames(of: tensorNames)
        ?? .prefixed(
          ["", "bert."], of: "embeddings.word_embeddings.weight", in: tensorNames),
      embedding: EmbeddingDescription(
        tokens: "embeddings.word_embeddings.weight",
        positions: ("embeddings.position_embeddings.weight", sizes.positions, 0),
        segments: ("embeddings.token_type_embeddings.weight", segments),
        norm: .layer("embeddings.LayerNorm", epsilon)),
      layerKey: "encoder.layer.", layers: Array(repeating: layer, count: sizes.layerCount),
      head: .states,
      // The output is the last hidden state: the pooler comes after it, and the position ids are
      // 0, 1, 2 and so on.
      unusedKeys: ["pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids"])
  }
}
