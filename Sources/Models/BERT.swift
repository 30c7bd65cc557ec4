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

    let tensorFlow = tensorFlowNames(of: tensorNames)
    let prefix =
      tensorFlow != nil
      ? ""
      : Family.prefix(
        of: "embeddings.word_embeddings.weight", among: ["", "bert."], in: tensorNames)
    var graph = GraphBuilder(names: tensorFlow ?? .plain)
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
      let attended = graph.selfAttention(
        layer, stream, headCount: heads,
        keys: .init(
          query: key + "attention.self.query", key: key + "attention.self.key",
          value: key + "attention.self.value", output: key + "attention.output.dense"))
      stream = graph.append("\(layer).attentionResidual", width: width, .add(stream, attended))
      stream = graph.layerNorm(
        "\(layer).attentionLayerNorm", stream, epsilon: epsilon,
        key: key + "attention.output.LayerNorm")

      let down = graph.feedForward(
        layer, stream, innerWidth: inner, .gelu, up: key + "intermediate.dense",
        down: key + "output.dense")
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
        ["pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids"].map {
          (tensorFlow ?? .plain).storedKey(prefix + $0)
        })
    )
  }
}
