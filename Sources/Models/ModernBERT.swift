// ModernBERT (Warner et al. 2024): encoder, rotary positions, LayerNorm before each part, GeGLU, two
// of three layers with a window and another rotary base.

import Bytes

enum ModernBERT {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    configuration.defaults = ["local_attention": 128, "global_attn_every_n_layers": 3]
    let sizes = TransformerSizes(&configuration)
    let epsilon = configuration.positiveNumber("norm_eps", fallback: 1e-5)
    let activation = configuration.activation("hidden_activation", fallback: "gelu")
    let normHasBias = configuration.bool("norm_bias", fallback: false)
    let hasBias = configuration.bool("attention_bias", fallback: false)
    let hasInnerBias = configuration.bool("mlp_bias", fallback: false)
    let local = configuration.integer("local_attention", in: Limits.positions)
    let period = configuration.integer("global_attn_every_n_layers", in: Limits.layerCount)
    let isLocal = configuration.layers(
      "layer_types", count: sizes?.layerCount ?? 0,
      among: ["full_attention": false, "sliding_attention": true],
      fallback: { !$0.isMultiple(of: period ?? 1) },
      meaning: "full_attention in each layer that global_attn_every_n_layers divides")
    let rotary = rotary(&configuration)
    let head = Head(&configuration)
    guard let sizes, let epsilon, let normHasBias, let hasBias, let hasInnerBias, let local,
      let isLocal, let rotary, let head,
      let global = rotary.global.positions(&configuration, sizes, key: "num_attention_heads"),
      let near = rotary.local.positions(&configuration, sizes, key: "num_attention_heads")
    else { return nil }

    func norm(_ key: String) -> NormDescription { .layer(key, epsilon, bias: normHasBias) }
    let (query, key, value) = FusedProjection.blocks(sizes).parts("attn.Wqkv", bias: hasBias)
    let (gate, up) = FusedProjection.halves(
      "mlp.Wi", bias: hasInnerBias, innerWidth: sizes.innerWidth)
    let layers = isLocal.enumerated().map { index, isLocal in
      LayerDescription(
        attention: AttentionDescription(
          query: query, key: key, value: value, output: .init("attn.Wo", bias: hasBias),
          rotary: isLocal ? near : global,
          // Half of the positions before, half after, and the own one.
          window: isLocal ? local / 2 + 1 : nil),
        feedForward: FeedForwardDescription(
          activation: activation, gate: gate, up: up, down: .init("mlp.Wo", bias: hasInnerBias)),
        attentionNorms: NormPlaces(input: index == 0 ? nil : norm("attn_norm")),
        feedForwardNorms: NormPlaces(input: norm("mlp_norm")))
    }
    return TransformerDescription(
      family: .modernbert, kind: .encoder, sizes: sizes,
      names: .prefixed(
        ["model.", ""], of: "embeddings.tok_embeddings.weight", in: tensorNames,
        outside: ["head", "decoder", "classifier"]),
      embedding: EmbeddingDescription(
        tokens: "embeddings.tok_embeddings.weight", norm: norm("embeddings.norm")),
      layers: layers, finalNorm: norm("final_norm"), head: .states, tasks: head.tasks(norm))
  }

  /// Layers with a window are turned by another base.
  private static func rotary(_ configuration: inout Configuration)
    -> (global: RotarySettings, local: RotarySettings)?
  {
    func settings(_ base: String, _ fallback: Double, _ type: String) -> RotarySettings? {
      RotarySettings(
        &configuration,
        .init(base: base, baseFallback: fallback, parameters: "rope_parameters.\(type)"))
    }
    let global = settings("global_rope_theta", 160_000, "full_attention")
    let local = settings("local_rope_theta", 10_000, "sliding_attention")
    guard let global, let local else { return nil }
    return (global, local)
  }

  /// What stands behind the layers.
  private struct Head {
    var activation: Activation
    var hasBias: Bool
    var scoresHaveBias: Bool
    var pooling: RowPooling
    var isTied: Bool
    var classCount: Int

    init?(_ configuration: inout Configuration) {
      activation = configuration.activation("classifier_activation", fallback: "gelu")
      let hasBias = configuration.bool("classifier_bias", fallback: false)
      let scoresHaveBias = configuration.bool("decoder_bias", fallback: true)
      let pooling: RowPooling? = configuration.choice(
        "classifier_pooling", among: ["cls": .first, "mean": .mean], fallback: "cls")
      let isTied = configuration.bool("tie_word_embeddings", fallback: true)
      classCount = configuration.classCount()
      guard let hasBias, let scoresHaveBias, let pooling, let isTied else { return nil }
      self.hasBias = hasBias
      self.scoresHaveBias = scoresHaveBias
      self.pooling = pooling
      self.isTied = isTied
    }

    func tasks(_ norm: (String) -> NormDescription) -> [Task: HeadDescription] {
      let dense = LinearDescription("head.dense", bias: hasBias)
      var classes = HeadDescription.classes(
        dense, activation, .init("classifier"), count: classCount, pooling: pooling)
      classes.transformNorm = norm("head.norm")
      var tokenClasses = classes
      tokenClasses.output = .tokenClasses
      tokenClasses.pooling = nil
      return [
        .masked: .masked(
          dense, activation, norm("head.norm"), .init("decoder", bias: scoresHaveBias),
          isTied: isTied),
        .classes: classes, .tokenClasses: tokenClasses,
      ]
    }
  }
}
