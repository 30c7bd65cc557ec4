// The encoder of T5 (Raffel et al. 2020): relative positions that all layers share, unscaled scores,
// RMSNorm before each part, ReLU or a gate.

import Bytes

enum T5 {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    // No position limits a text; published files say how long those of the training were.
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
    let buckets = RelativeBuckets(
      &configuration, count: "relative_attention_num_buckets",
      maximumDistance: "relative_attention_max_distance")
    let activation: (isGated: Bool, Activation)? = configuration.choice(
      "feed_forward_proj",
      among: [
        "relu": (false, .relu), "gelu": (false, .gelu), "gated-gelu": (true, .geluTanh),
        "gated-silu": (true, .silu), "gated-relu": (true, .relu),
      ], fallback: "relu")
    guard let sizes, let epsilon, let buckets, let activation else { return nil }

    func linear(_ key: String) -> LinearDescription { LinearDescription(key, bias: false) }
    let inner = "layer.1.DenseReluDense."
    let layer = LayerDescription(
      attention: AttentionDescription(
        query: linear("layer.0.SelfAttention.q"), key: linear("layer.0.SelfAttention.k"),
        value: linear("layer.0.SelfAttention.v"), output: linear("layer.0.SelfAttention.o"),
        scale: 1,
        relative: (
          "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", buckets
        )),
      feedForward: FeedForwardDescription(
        activation: activation.1, gate: activation.isGated ? linear(inner + "wi_0") : nil,
        up: linear(inner + (activation.isGated ? "wi_1" : "wi")), down: linear(inner + "wo")),
      attentionNorms: NormPlaces(input: .rootMeanSquare("layer.0.layer_norm", epsilon)),
      feedForwardNorms: NormPlaces(input: .rootMeanSquare("layer.1.layer_norm", epsilon)))
    let table = Family.prefix(
      of: ".weight", among: ["shared", "encoder.embed_tokens"], in: tensorNames)
    return TransformerDescription(
      family: .t5, kind: .encoder, sizes: sizes, names: .plain,
      embedding: EmbeddingDescription(tokens: table + ".weight"), layerKey: "encoder.block.",
      layers: Array(repeating: layer, count: sizes.layerCount),
      finalNorm: .rootMeanSquare("encoder.final_layer_norm", epsilon), head: .states,
      // Copies of the token table, and the decoder of a whole model.
      unusedKeys: ["encoder.embed_tokens.weight", "lm_head.weight"],
      unusedNames: tensorNames.filter { $0.hasPrefix("decoder.") })
  }
}

extension RelativeBuckets {
  /// Nil after collecting that distances do not fit the buckets.
  fileprivate init?(
    _ configuration: inout Configuration, count countKey: String,
    maximumDistance distanceKey: String
  ) {
    guard let count = configuration.integer(countKey, in: Limits.width),
      let distance = configuration.integer(distanceKey, in: Limits.positions)
    else { return nil }
    guard count >= 4, count.isMultiple(of: 4), distance > count / 4 else {
      configuration.fail(countKey, "\(count) buckets do not fit distances up to \(distance)")
      return nil
    }
    self.init(count: count, maximumDistance: distance)
  }
}
