// ChatGLM-6B (Du et al. 2022, Zeng et al. 2023): prefix decoder, two rotary positions a token, one
// matrix for query, key and value, tanh GELU, residuals of scaled normalised values.

import Bytes

enum ChatGLM {
  /// Base of the rotary angles; the configuration does not hold it.
  static let rotaryBase = 10_000.0

  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    let sizes = TransformerSizes(
      &configuration,
      .init(
        innerWidth: "inner_hidden_size", innerWidthMultiple: 4, layerCount: ["num_layers"],
        positions: ["max_sequence_length"]))
    let epsilon = configuration.positiveNumber("layernorm_epsilon", fallback: 1e-5)
    let tokenRange = 0...(sizes?.vocabulary ?? 1) - 1
    let start = configuration.integer("bos_token_id", in: tokenRange)
    let mask = configuration.integer("mask_token_id", in: tokenRange)
    let globalMask = configuration.integer("gmask_token_id", in: tokenRange)
    configuration.require("position_encoding_2d", oneOf: [true], fallback: true)
    // The library ties the head to the table unless it is told otherwise.
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    configuration.require("quantization_bit", oneOf: [0], fallback: 0)
    configuration.requireAbsent("pre_seq_len")
    // ChatGLM2 and 3 have the same model_type and another architecture.
    configuration.requireAbsent("multi_query_attention")
    configuration.requireAbsent("rmsnorm")
    guard let sizes, let epsilon, let start, let mask, let globalMask, let isTied
    else { return nil }
    guard sizes.headWidth.isMultiple(of: 4) else {
      configuration.fail(
        "num_attention_heads",
        "\(sizes.headCount) heads do not divide the hidden size \(sizes.width) into multiples of "
          + "four")
      return nil
    }

    // The residual is alpha * normalised + output. The next normalisation takes the same of
    // normalised + output / alpha, with epsilon / alpha^2, so that alpha goes into the weights.
    let alpha = (2 * Double(sizes.layerCount)).squareRoot()
    let scaled = GraphBuilder.StoredMatrix(factor: Float(1 / alpha))
    let scaledEpsilon = epsilon / (alpha * alpha)
    let (query, key, value) = FusedProjection.groups(sizes).parts("attention.query_key_value")
    let layers = (0..<sizes.layerCount).map { index in
      LayerDescription(
        attention: AttentionDescription(
          query: query, key: key, value: value,
          output: .init("attention.dense", stored: scaled),
          rotary: RotaryPositions(
            base: rotaryBase, dimensions: sizes.headWidth, layout: .twoPositions)),
        feedForward: FeedForwardDescription(
          activation: .geluTanh, up: .init("mlp.dense_h_to_4h"),
          down: .init("mlp.dense_4h_to_h", stored: scaled)),
        attentionNorms: NormPlaces(
          input: .layer("input_layernorm", index == 0 ? epsilon : scaledEpsilon)),
        feedForwardNorms: NormPlaces(input: .layer("post_attention_layernorm", scaledEpsilon)),
        residualIsNormalised: true)
    }
    return TransformerDescription(
      family: .chatglm, kind: .prefixDecoder, sizes: sizes,
      names: .prefixed(["transformer.", ""], of: "word_embeddings.weight", in: tensorNames),
      embedding: EmbeddingDescription(tokens: "word_embeddings.weight"), layers: layers,
      finalNorm: .layer("final_layernorm", scaledEpsilon), head: .logits(isTied: isTied),
      unusedKeys: (0..<sizes.layerCount).map {
        "layers.\($0).attention.rotary_emb.inv_freq"
      }, contextMarkers: ContextMarkers(startToken: start, maskTokens: [globalMask, mask]))
  }
}
