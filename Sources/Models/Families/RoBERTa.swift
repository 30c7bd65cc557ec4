// RoBERTa (Liu et al. 2019) and XLM-RoBERTa (Conneau et al. 2020): BERT whose positions are counted
// from the row after that of the padding token.

import Bytes

enum RoBERTa {
  static func describe(
    _ configuration: inout Configuration, family: Family, tensorNames: Set<String>
  ) -> TransformerDescription? {
    let sizes = TransformerSizes(&configuration)
    let segments = configuration.integer(
      "type_vocab_size", in: Limits.vocabulary, fallback: 2, meaning: "2")
    let padding = configuration.integer(
      "pad_token_id", in: 0...Limits.vocabulary.upperBound, fallback: 1, meaning: "1")
    let epsilon = configuration.positiveNumber("layer_norm_eps", fallback: 1e-12)
    let activation = configuration.activation("hidden_act", fallback: "gelu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    BERT.requireEncoder(&configuration)
    let classCount = configuration.classCount()
    guard var sizes, let segments, let padding, let epsilon, let isTied,
      sizes.reservePositions(padding + 1, &configuration)
    else { return nil }

    return TransformerDescription(
      family: family, kind: .encoder, sizes: sizes,
      names: .prefixed(
        ["", "roberta."], of: BERT.tokenTable, in: tensorNames, outside: ["classifier", "lm_head"]),
      embedding: BERT.embedding(
        positions: (sizes.positions + padding + 1, padding + 1), segments: segments, epsilon),
      layerKey: "encoder.layer.",
      layers: Array(repeating: BERT.layer(activation, epsilon), count: sizes.layerCount),
      head: .states, heads: heads(classCount, epsilon, isTied: isTied),
      unusedKeys: BERT.unusedKeys + ["lm_head.decoder.bias"])
  }

  /// The heads of RoBERTa, which MPNet has, too.
  static func heads(_ classCount: Int?, _ epsilon: Double, isTied: Bool) -> [HeadDescription] {
    let tokens = HeadDescription.tokenLogits(
      .init("lm_head.dense"), .gelu, norm: .layer("lm_head.layer_norm", epsilon),
      matrix: .init(weight: "lm_head.decoder.weight", bias: "lm_head.bias"), isTied: isTied)
    guard let classCount else { return [tokens] }
    return [
      tokens, .tokenClasses(classCount),
      .classes(
        classCount, transform: .init("classifier.dense"), .tanh, scores: "classifier.out_proj"),
    ]
  }
}

extension TransformerSizes {
  /// Takes away the first `count` rows of the position table, which no position of a text has.
  ///
  /// Returns false after collecting that no row is left.
  mutating func reservePositions(_ count: Int, _ configuration: inout Configuration) -> Bool {
    guard positions > count else {
      configuration.fail(
        "max_position_embeddings", "\(positions) rows, the first \(count) are no positions")
      return false
    }
    positions -= count
    return true
  }
}
