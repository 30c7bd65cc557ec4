// Falcon (Almazrouei et al. 2023): causal decoder, one or few key heads, attention and feed-forward
// side by side; the RefinedWeb models have ALiBi and none of this.

import Bytes
import Foundation

enum Falcon {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    configuration.defaults = ["max_position_embeddings": 2048]
    let sizes = TransformerSizes(
      &configuration,
      .init(
        width: ["hidden_size", "n_embed"], innerWidth: "ffn_hidden_size", innerWidthMultiple: 4))
    let epsilon = configuration.positiveNumber("layer_norm_epsilon", fallback: 1e-5)
    let activation = configuration.activation("activation", fallback: "gelu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    let rotary = RotarySettings(&configuration)
    let hasSlopes = configuration.bool("alibi", fallback: false)
    let hasBias = configuration.bool("bias", fallback: false)
    let isNew = configuration.bool("new_decoder_architecture", fallback: false)
    let hasOneKeyHead = configuration.bool("multi_query", fallback: true)
    let isParallel = configuration.bool("parallel_attn", fallback: true)
    let keyHeads = configuration.integer(
      "num_kv_heads", in: Limits.width, fallback: sizes?.headCount ?? 1,
      meaning: "num_attention_heads")
    let normCount = configuration.integer(
      "num_ln_in_parallel_attn", in: 1...2, fallback: isNew == true ? 2 : 1,
      meaning: "2 in the new architecture, else 1")
    guard var sizes, let epsilon, let isTied, let rotary, let hasSlopes, let hasBias, let isNew,
      let hasOneKeyHead, let isParallel, let keyHeads, let normCount
    else { return nil }
    if isNew, !isParallel {
      configuration.fail("parallel_attn", "false is not implemented in the new architecture")
    }
    sizes.keyHeadCount = isNew ? keyHeads : hasOneKeyHead ? 1 : sizes.headCount
    guard sizes.headCount.isMultiple(of: sizes.keyHeadCount) else {
      configuration.fail(
        "num_kv_heads", "\(keyHeads) key heads do not divide \(sizes.headCount) query heads")
      return nil
    }
    let positions =
      hasSlopes
      ? nil : rotary.positions(&configuration, sizes, key: "num_attention_heads")
    guard hasSlopes || positions != nil else { return nil }

    let (query, key, value) = FusedProjection.groups(sizes).parts(
      "self_attention.query_key_value", bias: hasBias)
    let hasTwoNorms = isNew && normCount == 2
    let layer = LayerDescription(
      attention: AttentionDescription(
        query: query, key: key, value: value, output: .init("self_attention.dense", bias: hasBias),
        rotary: positions,
        // The library scales scores after it has added the bias.
        slopes: hasSlopes
          ? ALiBi.slopes(sizes.headCount).map {
            ALiBi.inSixteenBits($0) / Double(sizes.headWidth).squareRoot()
          } : nil),
      feedForward: FeedForwardDescription(
        activation: activation, up: .init("mlp.dense_h_to_4h", bias: hasBias),
        down: .init("mlp.dense_4h_to_h", bias: hasBias)),
      attentionNorms: NormPlaces(
        input: .layer(hasTwoNorms ? "ln_attn" : "input_layernorm", epsilon)),
      feedForwardNorms: NormPlaces(
        input: hasTwoNorms
          ? .layer("ln_mlp", epsilon)
          : isParallel ? nil : .layer("post_attention_layernorm", epsilon)),
      isParallel: isParallel)
    return TransformerDescription(
      family: .falcon, kind: .decoder, sizes: sizes,
      names: .prefixed(["transformer.", ""], of: "word_embeddings.weight", in: tensorNames),
      embedding: EmbeddingDescription(tokens: "word_embeddings.weight"), layerKey: "h.",
      layers: Array(repeating: layer, count: sizes.layerCount), finalNorm: .layer("ln_f", epsilon),
      head: .logits(isTied: isTied))
  }
}

/// Attention with linear biases (Press et al. 2022).
enum ALiBi {
  /// 2^(-8 i / n) for heads i = 1 ... n; where n is no power of two, those of the next lower one and
  /// every second of the next higher one.
  static func slopes(_ headCount: Int) -> [Double] {
    let power = 1 << (Int.bitWidth - 1 - headCount.leadingZeroBitCount)
    func slope(_ place: Int, _ count: Int) -> Double { pow(2, -8 * Double(place) / Double(count)) }
    return (1...power).map { slope($0, power) }
      + (0..<headCount - power).map { slope(2 * $0 + 1, 2 * power) }
  }

  /// Rounded to the eight bits of a bfloat16, as Falcon's slopes are.
  static func inSixteenBits(_ value: Double) -> Double {
    let bits = Float(value).bitPattern
    return Double(Float(bitPattern: (bits + 0x7fff + (bits >> 16) & 1) & 0xffff_0000))
  }
}
