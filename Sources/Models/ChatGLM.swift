// ChatGLM-6B (Du et al. 2022, Zeng et al. 2023): prefix decoder, two rotary positions a token, one
// matrix for query, key and value, tanh GELU, residuals of scaled normalised values.

import Bytes

enum ChatGLM {
  /// Base of the rotary angles; the configuration does not hold it.
  static let rotaryBase = 10_000.0

  static func build(_ configuration: inout Configuration, tensorNames: Set<String>) -> BuiltModel? {
    let width = configuration.integer("hidden_size", in: Limits.width)
    let inner = configuration.integer(
      "inner_hidden_size", in: Limits.width, fallback: width.map { 4 * $0 },
      meaning: "4 * hidden_size")
    let heads = configuration.integer("num_attention_heads", in: Limits.width)
    let layers = configuration.integer("num_layers", in: Limits.layerCount)
    let vocabulary = configuration.integer("vocab_size", in: Limits.vocabulary)
    let positions = configuration.integer("max_sequence_length", in: Limits.positions)
    let epsilon = configuration.positiveNumber("layernorm_epsilon", fallback: 1e-5)
    let tokenRange = 0...(vocabulary ?? 1) - 1
    let start = configuration.integer("bos_token_id", in: tokenRange)
    let mask = configuration.integer("mask_token_id", in: tokenRange)
    let globalMask = configuration.integer("gmask_token_id", in: tokenRange)
    configuration.require("position_encoding_2d", oneOf: [true], fallback: true)
    configuration.require("tie_word_embeddings", oneOf: [false], fallback: false)
    configuration.require("quantization_bit", oneOf: [0], fallback: 0)
    configuration.requireAbsent("quantization_config")
    configuration.requireAbsent("pre_seq_len")
    // ChatGLM2 and 3 have the same model_type and another architecture.
    configuration.requireAbsent("multi_query_attention")
    configuration.requireAbsent("rmsnorm")
    guard let width, let inner, let heads, let layers, let vocabulary, let positions, let epsilon,
      let start, let mask, let globalMask
    else { return nil }
    guard width.isMultiple(of: 4 * heads) else {
      configuration.fail(
        "num_attention_heads",
        "\(heads) heads do not divide the hidden size \(width) into multiples of four")
      return nil
    }
    let headWidth = width / heads

    let names = NameTable.prefixed(
      ["transformer.", ""], of: "word_embeddings.weight", in: tensorNames)
    var graph = GraphBuilder(names: names)
    let tokens = graph.weight(
      "embedTokens", [vocabulary, width], key: "word_embeddings.weight")
    var stream = graph.append(
      "embed", width: width,
      .embed(tokens: tokens, positions: nil, positionOffset: 0, segments: nil))

    /// Query, key and value of a head stand together.
    func fused(_ part: Int) -> GraphBuilder.StoredMatrix {
      .init(
        outputRanges: (0..<heads).map {
          (3 * $0 + part) * headWidth..<(3 * $0 + part + 1) * headWidth
        }, storedOutputs: 3 * width)
    }
    // The residual is alpha * normalised + output. The next normalisation takes the same of
    // normalised + output / alpha, with epsilon / alpha^2, so that alpha goes into the weights.
    let alpha = (2 * Double(layers)).squareRoot()
    let scaled = GraphBuilder.StoredMatrix(factor: Float(1 / alpha))
    let scaledEpsilon = epsilon / (alpha * alpha)

    for index in 0..<layers {
      let layer = "layers.\(index)"
      let key = "layers.\(index)."
      let normalised = graph.layerNorm(
        "\(layer).inputLayerNorm", stream, epsilon: index == 0 ? epsilon : scaledEpsilon,
        key: key + "input_layernorm")
      let query = graph.linear(
        layer, .query, normalised, outputs: width, key: key + "attention.query_key_value",
        stored: fused(0))
      let keys = graph.linear(
        layer, .key, normalised, outputs: width, key: key + "attention.query_key_value",
        stored: fused(1))
      let values = graph.linear(
        layer, .value, normalised, outputs: width, key: key + "attention.query_key_value",
        stored: fused(2))
      let turnedQuery = graph.append(
        "\(layer).attention.queryRotary", width: width,
        .rotary(
          query, headCount: heads,
          RotaryPositions(base: rotaryBase, dimensions: headWidth, layout: .twoPositions)))
      let turnedKeys = graph.append(
        "\(layer).attention.keyRotary", width: width,
        .rotary(
          keys, headCount: heads,
          RotaryPositions(base: rotaryBase, dimensions: headWidth, layout: .twoPositions)))
      let attention = graph.append(
        "\(layer).attention", width: width,
        .attention(
          query: turnedQuery, key: turnedKeys, value: values,
          AttentionSettings(
            headCount: heads, keyHeadCount: heads, scale: 1 / Double(headWidth).squareRoot())))
      let attended = graph.linear(
        layer, .output, attention, outputs: width, key: key + "attention.dense", stored: scaled)
      stream = graph.append("\(layer).attentionResidual", width: width, .add(normalised, attended))

      let normalisedAgain = graph.layerNorm(
        "\(layer).postAttentionLayerNorm", stream, epsilon: scaledEpsilon,
        key: key + "post_attention_layernorm")
      let down = graph.feedForward(
        layer, normalisedAgain, innerWidth: inner, .geluTanh, up: key + "mlp.dense_h_to_4h",
        down: key + "mlp.dense_4h_to_h", storedDown: scaled)
      stream = graph.append(
        "\(layer).feedForwardResidual", width: width, .add(normalisedAgain, down))
    }

    stream = graph.layerNorm(
      "finalLayerNorm", stream, epsilon: scaledEpsilon, key: "final_layernorm")
    let output = graph.matrix(
      "lmHead", outputs: vocabulary, inputs: width, key: NameTable.outputKey)
    _ = graph.append("logits", width: vocabulary, .linear(stream, weight: output, bias: nil))
    return BuiltModel(
      model: Model(
        family: Family.chatglm.rawValue, kind: .decoder, vocabularySize: vocabulary,
        maximumPositions: positions, nodes: graph.nodes, weights: graph.weightShapes,
        contextMarkers: ContextMarkers(startToken: start, maskTokens: [globalMask, mask])),
      bindings: graph.bindings,
      unusedKeys: Set(
        (0..<layers).map { names.storedKey("layers.\($0).attention.rotary_emb.inv_freq") }))
  }
}
