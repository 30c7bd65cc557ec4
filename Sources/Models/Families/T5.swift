// T5 (Raffel et al. 2020), its encoder: RMSNorm before each part, scores that are not scaled, with a
// bias by the distance between two positions that all layers share.

import Bytes

enum T5 {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    // The bias knows no longest text; files of the model's authors say that of the training.
    configuration.defaults = [
      "d_kv": 64, "n_positions": 512, "relative_attention_num_buckets": 32,
      "relative_attention_max_distance": 128,
    ]
    let sizes = TransformerSizes(
      &configuration,
      .init(
        width: ["d_model"], innerWidth: "d_ff", headCount: ["num_heads"], headWidth: "d_kv",
        layerCount: ["num_layers"], positions: ["n_positions"]))
    let epsilon = configuration.positiveNumber("layer_norm_epsilon", fallback: 1e-6)
    let bucketCount = configuration.integer(
      "relative_attention_num_buckets", in: 4...1 << 16)
    let maximumDistance = configuration.integer(
      "relative_attention_max_distance", in: 2...Limits.positions.upperBound)
    let feedForward = feedForward(&configuration)
    guard let sizes, let epsilon, let bucketCount, let maximumDistance, let feedForward else {
      return nil
    }
    guard bucketCount.isMultiple(of: 4), maximumDistance > bucketCount / 4 else {
      configuration.fail(
        "relative_attention_num_buckets",
        "\(bucketCount) buckets up to distance \(maximumDistance) are not implemented, only "
          + "multiples of 4 up to more than a quarter of them")
      return nil
    }

    let attention = "layer.0.SelfAttention"
    let layer = LayerDescription(
      attention: AttentionDescription(
        query: .init("\(attention).q", bias: false), key: .init("\(attention).k", bias: false),
        value: .init("\(attention).v", bias: false), output: .init("\(attention).o", bias: false),
        scale: 1,
        relative: (
          "encoder.block.0.\(attention).relative_attention_bias.weight",
          RelativeBuckets(count: bucketCount, maximumDistance: maximumDistance)
        )),
      feedForward: feedForward,
      attentionNorms: NormPlaces(input: .rootMeanSquare("layer.0.layer_norm", epsilon)),
      feedForwardNorms: NormPlaces(input: .rootMeanSquare("layer.1.layer_norm", epsilon)))
    let names = NameTable.prefixed(
      ["", "transformer."], of: "encoder.final_layer_norm.weight", in: tensorNames)
    let prefix = names.storedKey("")
    let tables = ["shared.weight", "encoder.embed_tokens.weight"]
    return TransformerDescription(
      family: .t5, kind: .encoder, sizes: sizes, names: names,
      // One table under one of these names, or under both.
      embedding: EmbeddingDescription(
        tokens: tables.first { tensorNames.contains(prefix + $0) } ?? tables[0]),
      layerKey: "encoder.block.", layers: Array(repeating: layer, count: sizes.layerCount),
      finalNorm: .rootMeanSquare("encoder.final_layer_norm", epsilon), head: .states,
      unusedKeys: tables + ["lm_head.weight"],
      unusedNames: tensorNames.filter { $0.hasPrefix(prefix + "decoder.") })
  }

  /// "relu" is a linear layer and its activation, "gated-gelu" has a gate with a tanh GELU; keys of
  /// their own, which the library writes, count more than this one.
  private static func feedForward(_ configuration: inout Configuration) -> FeedForwardDescription? {
    let key = "feed_forward_proj"
    let kinds: KeyValuePairs<String, (activation: Activation, isGated: Bool)> = [
      "relu": (.relu, false), "gated-gelu": (.geluTanh, true), "gelu": (.gelu, false),
      "silu": (.silu, false), "gated-relu": (.relu, true), "gated-silu": (.silu, true),
      "gelu_new": (.geluTanh, false), "gated-gelu_new": (.geluTanh, true),
    ]
    let stated = configuration.choice(key, among: kinds, fallback: "relu")
    let isGated = configuration.bool("is_gated_act", fallback: stated?.isGated ?? false)
    var activation = stated?.activation
    if configuration.has("dense_act_fn") {
      activation = configuration.activation("dense_act_fn", fallback: "relu")
    }
    configuration.mention("dense_act_fn", "activation function, else that of \(key)")
    guard let activation, let isGated, stated != nil else { return nil }
    func linear(_ name: String) -> LinearDescription {
      .init("layer.1.DenseReluDense.\(name)", bias: false)
    }
    return FeedForwardDescription(
      activation: activation, gate: isGated ? linear("wi_0") : nil,
      up: linear(isGated ? "wi_1" : "wi"), down: linear("wo"))
  }
}
