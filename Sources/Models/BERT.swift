// BERT (Devlin et al. 2019): bidirectional encoder, normalisation after each sub-layer, exact GELU.

import Bytes

enum BERT {
  static func build(_ configuration: inout Configuration, tensorNames: Set<String>) -> BuiltModel? {
    let width = configuration.integer("hidden_size", in: Limits.width)
    let inner = configuration.integer("intermediate_size", in: Limits.width)
    let heads = configuration.integer("num_attention_heads", in: Limits.width)
    let layers = configuration.integer("num_hidden_layers", in: Limits.layerCount)
    let vocabulary = configuration.integer("vocab_size", in: Limits.vocabulary)
    let positions = configuration.integer("max_position_embeddings", in: Limits.positions)
    let segments = configuration.integer("type_vocab_size", in: Limits.vocabulary)
    let epsilon = configuration.positiveNumber("layer_norm_eps")
    configuration.require("hidden_act", oneOf: ["gelu"], fallback: "gelu")
    configuration.require("position_embedding_type", oneOf: ["absolute"], fallback: "absolute")
    configuration.require("is_decoder", oneOf: [false], fallback: false)
    configuration.require("add_cross_attention", oneOf: [false], fallback: false)
    configuration.requireAbsent("quantization_config")
    guard let width, let inner, let heads, let layers, let vocabulary, let positions, let segments,
      let epsilon
    else { return nil }
    guard width.isMultiple(of: heads) else {
      configuration.fail(
        "num_attention_heads", "\(heads) heads do not divide the hidden size \(width)")
      return nil
    }

    let prefix = Family.prefix(
      of: "embeddings.word_embeddings.weight", among: ["", "bert."], in: tensorNames)
    var graph = GraphBuilder()
    let tokens = graph.weight(
      "embedTokens", [vocabulary, width], key: prefix + "embeddings.word_embeddings.weight")
    let positionTable = graph.weight(
      "embedPositions", [positions, width], key: prefix + "embeddings.position_embeddings.weight")
    let segmentTable = graph.weight(
      "embedSegments", [segments, width], key: prefix + "embeddings.token_type_embeddings.weight")
    let embedded = graph.append(
      "embed", width: width,
      .embed(
        tokens: tokens, positions: positionTable, positionOffset: 0, segments: segmentTable))
    var stream = graph.layerNorm(
      "embedLayerNorm", embedded, epsilon: epsilon, key: prefix + "embeddings.LayerNorm")

    for index in 0..<layers {
      let layer = "layers.\(index)"
      let key = "\(prefix)encoder.layer.\(index)."
      let query = graph.linear(
        "\(layer).attention.query", stream, outputs: width,
        weight: "\(layer).attention.wq", bias: "\(layer).attention.bq",
        key: key + "attention.self.query")
      let keys = graph.linear(
        "\(layer).attention.key", stream, outputs: width,
        weight: "\(layer).attention.wk", bias: "\(layer).attention.bk",
        key: key + "attention.self.key")
      let values = graph.linear(
        "\(layer).attention.value", stream, outputs: width,
        weight: "\(layer).attention.wv", bias: "\(layer).attention.bv",
        key: key + "attention.self.value")
      let attention = graph.append(
        "\(layer).attention", width: width,
        .attention(
          query: query, key: keys, value: values, headCount: heads, keyHeadCount: heads,
          scale: 1 / Double(width / heads).squareRoot()))
      let attended = graph.linear(
        "\(layer).attention.output", attention, outputs: width,
        weight: "\(layer).attention.wo", bias: "\(layer).attention.bo",
        key: key + "attention.output.dense")
      stream = graph.append("\(layer).attentionResidual", width: width, .add(stream, attended))
      stream = graph.layerNorm(
        "\(layer).attentionLayerNorm", stream, epsilon: epsilon,
        key: key + "attention.output.LayerNorm")

      let up = graph.linear(
        "\(layer).feedForward.up", stream, outputs: inner,
        weight: "\(layer).feedForward.wUp", bias: "\(layer).feedForward.bUp",
        key: key + "intermediate.dense")
      let active = graph.append(
        "\(layer).feedForward.activation", width: inner, .activation(up, .gelu))
      let down = graph.linear(
        "\(layer).feedForward.down", active, outputs: width,
        weight: "\(layer).feedForward.wDown", bias: "\(layer).feedForward.bDown",
        key: key + "output.dense")
      stream = graph.append("\(layer).feedForwardResidual", width: width, .add(stream, down))
      stream = graph.layerNorm(
        "\(layer).feedForwardLayerNorm", stream, epsilon: epsilon, key: key + "output.LayerNorm")
    }

    return BuiltModel(
      model: Model(
        family: Family.bert.rawValue, kind: .encoder, vocabularySize: vocabulary,
        maximumPositions: positions, nodes: graph.nodes, weights: graph.weightShapes),
      bindings: graph.bindings,
      // The output is the last hidden state: the pooler comes after it, and the position ids are
      // 0, 1, 2 and so on.
      unusedKeys: Set(
        ["pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids"].map { prefix + $0 })
    )
  }
}
