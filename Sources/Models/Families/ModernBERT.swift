// ModernBERT (Warner et al. 2024): rotary positions, normalisation before each part, gated GELU, and
// layers that see near positions only, with a rotary base of their own.

import Bytes

enum ModernBERT {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    let sizes = TransformerSizes(&configuration)
    let epsilon = configuration.positiveNumber("norm_eps", fallback: 1e-5)
    let activation = configuration.activation("hidden_activation", fallback: "gelu")
    let hasNormBias = configuration.bool("norm_bias", fallback: false)
    let hasBias = configuration.bool("attention_bias", fallback: false)
    let hasInnerBias = configuration.bool("mlp_bias", fallback: false)
    let attention = ModernAttention(&configuration, sizes)
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    let head = ModernHead(&configuration)
    guard let sizes, let epsilon, let hasNormBias, let hasBias, let hasInnerBias, let attention,
      let isTied
    else { return nil }

    func norm(_ key: String) -> NormDescription { .layer(key, epsilon, bias: hasNormBias) }
    let (query, key, value) = FusedProjection.blocks(sizes).parts("attn.Wqkv", bias: hasBias)
    let (gate, up) = FusedProjection.halves(
      "mlp.Wi", bias: hasInnerBias, innerWidth: sizes.innerWidth)
    let layers = (0..<sizes.layerCount).map { index in
      let isLocal = attention.isLocal[index]
      return LayerDescription(
        attention: AttentionDescription(
          query: query, key: key, value: value, output: .init("attn.Wo", bias: hasBias),
          rotary: isLocal ? attention.local : attention.global,
          window: isLocal ? attention.window : nil),
        feedForward: FeedForwardDescription(
          activation: activation, gate: gate, up: up, down: .init("mlp.Wo", bias: hasInnerBias)),
        // The first layer reads what the embedding has normalised.
        attentionNorms: NormPlaces(input: index == 0 ? nil : norm("attn_norm")),
        feedForwardNorms: NormPlaces(input: norm("mlp_norm")))
    }
    return TransformerDescription(
      family: .modernbert, kind: .encoder, sizes: sizes,
      names: .prefixed(
        ["", "model."], of: "embeddings.tok_embeddings.weight", in: tensorNames,
        outside: ["head", "decoder", "classifier"]),
      embedding: EmbeddingDescription(
        tokens: "embeddings.tok_embeddings.weight", norm: norm("embeddings.norm")),
      layers: layers, finalNorm: norm("final_norm"), head: .states,
      heads: head?.descriptions(norm("head.norm"), isTied: isTied) ?? [])
  }
}

/// Settings of the heads.
private struct ModernHead {
  var classCount: Int?
  var hasBias: Bool
  var activation: Activation
  var pooling: RowPooling
  var hasOutputBias: Bool

  init?(_ configuration: inout Configuration) {
    classCount = configuration.classCount()
    let settings = configuration.settings(of: .classes, .tokenClasses, .tokenLogits) {
      (
        $0.bool("classifier_bias", fallback: false),
        $0.activation("classifier_activation", fallback: "gelu")
      )
    }
    let pooling = configuration.settings(of: .classes) {
      $0.choice(
        "classifier_pooling", among: ["cls": RowPooling.first, "mean": .mean], fallback: "cls")
    }
    let hasOutputBias = configuration.settings(of: .tokenLogits) {
      $0.bool("decoder_bias", fallback: true)
    }
    guard let hasBias = settings.0, let hasOutputBias else { return nil }
    self.hasBias = hasBias
    activation = settings.1
    self.pooling = pooling ?? .first
    self.hasOutputBias = hasOutputBias
  }

  func descriptions(_ norm: NormDescription, isTied: Bool) -> [HeadDescription] {
    let transform = LinearDescription("head.dense", bias: hasBias)
    var heads = [
      HeadDescription.tokenLogits(
        transform, activation, norm: norm, matrix: .init("decoder", bias: hasOutputBias),
        isTied: isTied)
    ]
    if let classCount {
      var tokenClasses = HeadDescription.tokenClasses(classCount)
      tokenClasses.transform = (transform, nil, activation)
      tokenClasses.transformNorm = norm
      heads += [
        .classes(classCount, pooling: pooling, transform: transform, activation, norm: norm),
        tokenClasses,
      ]
    }
    return heads
  }
}

/// Which layers see near positions only, and how far.
private struct ModernAttention {
  var isLocal: [Bool]
  /// Positions at a distance below this are seen.
  var window: Int
  var global: RotaryPositions
  var local: RotaryPositions

  init?(_ configuration: inout Configuration, _ sizes: TransformerSizes?) {
    let period = configuration.integer(
      "global_attn_every_n_layers", in: Limits.layerCount, fallback: 3, meaning: "3")
    let isLocal = configuration.layers(
      "layer_types", count: sizes?.layerCount ?? 0,
      among: ["full_attention": false, "sliding_attention": true],
      fallback: { !$0.isMultiple(of: period ?? 1) },
      meaning: "full_attention in every layer of that number")
    let reach = configuration.integer(
      "local_attention", in: Limits.positions, fallback: 128, meaning: "128")
    let global = RotarySettings(
      &configuration,
      .init(
        base: "global_rope_theta", baseFallback: 160_000,
        parameters: "rope_parameters.full_attention"))
    var local = RotarySettings(
      &configuration,
      .init(base: "local_rope_theta", parameters: "rope_parameters.sliding_attention"))
    // Null is no base of its own, absent is the library's.
    if configuration.find("local_rope_theta") == .null, let global { local?.base = global.base }
    guard let sizes, let isLocal, let reach,
      let globalPositions = global?.positions(&configuration, sizes),
      let localPositions = local?.positions(&configuration, sizes)
    else { return nil }
    self.isLocal = isLocal
    window = reach / 2 + 1
    self.global = globalPositions
    self.local = localPositions
  }
}
