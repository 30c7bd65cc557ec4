// BERT (Devlin et al. 2019), RoBERTa (Liu et al. 2019), XLM-R (Conneau et al. 2020) and ELECTRA
// (Clark et al. 2020): encoders, learned positions, normalisation after each residual sum.

import Bytes

enum BERT {
  static func describe(
    _ configuration: inout Configuration, family: Family, tensorNames: Set<String>
  ) -> TransformerDescription? {
    var sizes = TransformerSizes(&configuration)
    let segments = configuration.integer("type_vocab_size", in: Limits.vocabulary)
    let epsilon = configuration.positiveNumber("layer_norm_eps", fallback: 1e-12)
    let activation = configuration.activation("hidden_act", fallback: "gelu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    configuration.require("position_embedding_type", oneOf: ["absolute"], fallback: "absolute")
    configuration.require("is_decoder", oneOf: [false], fallback: false)
    configuration.require("add_cross_attention", oneOf: [false], fallback: false)
    let offset = Positions.offset(&configuration, family)
    if family == .electra { configuration.defaults = ["embedding_size": 128] }
    let tokenWidth =
      family == .electra ? configuration.integer("embedding_size", in: Limits.width) : sizes?.width
    let classes = configuration.classCount()
    guard let positions = sizes?.positions, let segments, let epsilon, let isTied, let offset,
      let tokenWidth
    else { return nil }
    guard offset < positions else {
      configuration.fail("pad_token_id", "there are no positions after \(offset)")
      return nil
    }
    sizes?.positions -= offset
    guard let sizes else { return nil }

    let layer = LayerDescription(
      attention: AttentionDescription(
        query: .init("attention.self.query"), key: .init("attention.self.key"),
        value: .init("attention.self.value"), output: .init("attention.output.dense")),
      feedForward: FeedForwardDescription(
        activation: activation, up: .init("intermediate.dense"), down: .init("output.dense")),
      attentionNorms: NormPlaces(sum: .layer("attention.output.LayerNorm", epsilon)),
      feedForwardNorms: NormPlaces(sum: .layer("output.LayerNorm", epsilon)))
    return TransformerDescription(
      family: family, kind: .encoder, sizes: sizes,
      names: tensorFlowNames(of: tensorNames) ?? names(family, in: tensorNames),
      embedding: EmbeddingDescription(
        tokens: "embeddings.word_embeddings.weight", width: tokenWidth,
        positions: ("embeddings.position_embeddings.weight", positions, offset),
        segments: ("embeddings.token_type_embeddings.weight", segments),
        norm: .layer("embeddings.LayerNorm", epsilon),
        projection: tokenWidth == sizes.width ? nil : .init("embeddings_project")),
      layerKey: "encoder.layer.", layers: Array(repeating: layer, count: sizes.layerCount),
      head: .states,
      tasks: tasks(
        family, activation, epsilon, tokenWidth: tokenWidth, isTied: isTied, classCount: classes),
      // The output is the last hidden state: the pooler comes after it, and the position ids are
      // 0, 1, 2 and so on. A bias of a matrix that has one of its own is a copy of that.
      unusedKeys: [
        "pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids",
        "cls.predictions.decoder.bias", "cls.seq_relationship.weight", "cls.seq_relationship.bias",
        "lm_head.decoder.bias",
      ])
  }

  private static func names(_ family: Family, in tensorNames: Set<String>) -> NameTable {
    let prefix =
      switch family {
      case .electra: "electra."
      case .bert: "bert."
      default: "roberta."
      }
    return .prefixed(
      ["", prefix], of: "embeddings.word_embeddings.weight", in: tensorNames,
      outside: [
        "cls", "lm_head", "classifier", "generator_predictions", "generator_lm_head",
      ])
  }

  private static func tasks(
    _ family: Family, _ activation: Activation, _ epsilon: Double, tokenWidth: Int, isTied: Bool,
    classCount: Int
  ) -> [Task: HeadDescription] {
    let (masked, classes): (HeadDescription, HeadDescription)
    switch family {
    case .bert:
      masked = .masked(
        .init("cls.predictions.transform.dense"), activation,
        .layer("cls.predictions.transform.LayerNorm", epsilon),
        .init(weight: "cls.predictions.decoder.weight", bias: "cls.predictions.bias"),
        isTied: isTied)
      classes = .classes(.init("pooler.dense"), .tanh, .init("classifier"), count: classCount)
    case .electra:
      masked = .masked(
        .init("generator_predictions.dense"), width: tokenWidth, .gelu,
        .layer("generator_predictions.LayerNorm", epsilon), .init("generator_lm_head"),
        isTied: isTied)
      classes = .classes(
        .init("classifier.dense"), .gelu, .init("classifier.out_proj"), count: classCount)
    default:
      masked = .masked(
        .init("lm_head.dense"), .gelu, .layer("lm_head.layer_norm", epsilon),
        .init(weight: "lm_head.decoder.weight", bias: "lm_head.bias"), isTied: isTied)
      classes = .classes(
        .init("classifier.dense"), .tanh, .init("classifier.out_proj"), count: classCount)
    }
    return [.masked: masked, .classes: classes, .tokenClasses: .tokenClasses(count: classCount)]
  }
}

/// Learned positions that begin after that of the padding token.
enum Positions {
  /// The row of position 0; nil after collecting a fault.
  static func offset(_ configuration: inout Configuration, _ family: Family) -> Int? {
    guard family == .roberta || family == .xlmRoberta else { return 0 }
    configuration.defaults["pad_token_id"] = 1
    return configuration.integer("pad_token_id", in: Limits.vocabulary).map { $0 + 1 }
  }
}
