// BERT (Devlin et al. 2019): encoder, learned positions, normalisation after each residual sum.

import Bytes

enum BERT {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    let sizes = TransformerSizes(&configuration)
    // GGUF files of relatives without segments have none.
    let segments = configuration.integer(
      "type_vocab_size", in: 0...Limits.vocabulary.upperBound)
    let epsilon = configuration.positiveNumber("layer_norm_eps", fallback: 1e-12)
    let activation = configuration.activation("hidden_act", fallback: "gelu")
    requireEncoder(&configuration)
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    let classCount = configuration.classCount()
    guard let sizes, let segments, let epsilon, let isTied else { return nil }

    var heads = [
      HeadDescription.tokenLogits(
        .init("cls.predictions.transform.dense"), activation,
        norm: .layer("cls.predictions.transform.LayerNorm", epsilon),
        matrix: .init(weight: "cls.predictions.decoder.weight", bias: "cls.predictions.bias"),
        isTied: isTied)
    ]
    if let classCount {
      heads += [
        .classes(classCount, transform: .init("pooler.dense"), .tanh), .tokenClasses(classCount),
      ]
    }
    return TransformerDescription(
      family: .bert, kind: .encoder, sizes: sizes,
      names: tensorFlowNames(of: tensorNames)
        ?? .prefixed(
          ["", "bert."], of: tokenTable, in: tensorNames, outside: ["classifier", "cls"]),
      embedding: embedding(positions: (sizes.positions, 0), segments: segments, epsilon),
      layerKey: "encoder.layer.",
      layers: Array(repeating: layer(activation, epsilon), count: sizes.layerCount),
      head: .states, heads: heads, unusedKeys: unusedKeys + ["cls.predictions.decoder.bias"])
  }

  /// Collects a fault for what a decoder, or positions of another kind, would need.
  static func requireEncoder(_ configuration: inout Configuration) {
    configuration.require("position_embedding_type", oneOf: ["absolute"], fallback: "absolute")
    configuration.require("is_decoder", oneOf: [false], fallback: false)
    configuration.require("add_cross_attention", oneOf: [false], fallback: false)
  }

  static let tokenTable = "embeddings.word_embeddings.weight"
  /// The pooler comes after the last hidden state, and the position ids are 0, 1, 2 and so on.
  static let unusedKeys = ["pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids"]

  /// Tokens, positions and, where there are any, segments, normalised together.
  static func embedding(
    positions: (rowCount: Int, offset: Int), segments: Int?, _ epsilon: Double
  ) -> EmbeddingDescription {
    EmbeddingDescription(
      tokens: tokenTable,
      positions: (
        "embeddings.position_embeddings.weight", positions.rowCount, positions.offset
      ),
      segments: (segments ?? 0) == 0
        ? nil : segments.map { ("embeddings.token_type_embeddings.weight", $0) },
      norm: .layer("embeddings.LayerNorm", epsilon))
  }

  /// A layer with the tensors of BERT, which many families have.
  static func layer(_ activation: Activation, _ epsilon: Double) -> LayerDescription {
    LayerDescription(
      attention: AttentionDescription(
        query: .init("attention.self.query"), key: .init("attention.self.key"),
        value: .init("attention.self.value"), output: .init("attention.output.dense")),
      feedForward: FeedForwardDescription(
        activation: activation, up: .init("intermediate.dense"), down: .init("output.dense")),
      attentionNorms: NormPlaces(sum: .layer("attention.output.LayerNorm", epsilon)),
      feedForwardNorms: NormPlaces(sum: .layer("output.LayerNorm", epsilon)))
  }
}
