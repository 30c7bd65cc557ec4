// OPT (Zhang et al. 2022): causal decoder, normalisation before each sub-layer, ReLU, tied output.

import Bytes

enum OPT {
  /// Rows of the position table before that of position 0.
  static let positionOffset = 2
  /// Epsilon of every normalisation; the configuration does not hold it.
  static let epsilon = 1e-5

  static func build(_ configuration: inout Configuration, tensorNames: Set<String>) -> BuiltModel? {
    let width = configuration.integer("hidden_size", in: Limits.width)
    let inner = configuration.integer("ffn_dim", in: Limits.width)
    let heads = configuration.integer("num_attention_heads", in: Limits.width)
    let layers = configuration.integer("num_hidden_layers", in: Limits.layerCount)
    let vocabulary = configuration.integer("vocab_size", in: Limits.vocabulary)
    let positions = configuration.integer("max_position_embeddings", in: Limits.positions)
    configuration.require("activation_function", oneOf: ["relu"], fallback: "relu")
    configuration.require("do_layer_norm_before", oneOf: [true], fallback: true)
    configuration.require("_remove_final_layer_norm", oneOf: [false], fallback: false)
    configuration.require("enable_bias", oneOf: [true], fallback: true)
    configuration.require("layer_norm_elementwise_affine", oneOf: [true], fallback: true)
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    configuration.requireAbsent("quantization_config")
    let embeddedWidth = configuration.integer(
      "word_embed_proj_dim", in: Limits.width, fallback: width, meaning: "hidden_size")
    guard let width, let inner, let heads, let layers, let vocabulary, let positions,
      let embeddedWidth, let isTied
    else { return nil }
    guard embeddedWidth == width else {
      configuration.fail(
        "word_embed_proj_dim", "\(embeddedWidth) is not implemented, only \(width) is")
      return nil
    }
    guard width.isMultiple(of: heads) else {
      configuration.fail(
        "num_attention_heads", "\(heads) heads do not divide the hidden size \(width)")
      return nil
    }

    let prefix = Family.prefix(
      of: "embed_tokens.weight", among: ["model.decoder.", "decoder."], in: tensorNames)
    var graph = GraphBuilder()
    let tokens = graph.weight(
      "embedTokens", [vocabulary, width], key: prefix + "embed_tokens.weight")
    let positionTable = graph.weight(
      "embedPositions", [positions + positionOffset, width], key: prefix + "embed_positions.weight")
    var stream = graph.append(
      "embed", width: width,
      .embed(
        tokens: tokens, positions: positionTable, positionOffset: positionOffset, segments: nil))

    for index in 0..<layers {
      let layer = "layers.\(index)"
      let key = "\(prefix)layers.\(index)."
      let normalised = graph.layerNorm(
        "\(layer).inputLayerNorm", stream, epsilon: epsilon, key: key + "self_attn_layer_norm")
      let attended = graph.selfAttention(
        layer, normalised, headCount: heads,
        keys: .init(
          query: key + "self_attn.q_proj", key: key + "self_attn.k_proj",
          value: key + "self_attn.v_proj", output: key + "self_attn.out_proj"))
      stream = graph.append("\(layer).attentionResidual", width: width, .add(stream, attended))

      let normalisedAgain = graph.layerNorm(
        "\(layer).postAttentionLayerNorm", stream, epsilon: epsilon, key: key + "final_layer_norm")
      let down = graph.feedForward(
        layer, normalisedAgain, innerWidth: inner, .relu, up: key + "fc1", down: key + "fc2")
      stream = graph.append("\(layer).feedForwardResidual", width: width, .add(stream, down))
    }

    stream = graph.layerNorm(
      "finalLayerNorm", stream, epsilon: epsilon, key: prefix + "final_layer_norm")
    let output =
      isTied
      ? tokens
      : graph.matrix("lmHead", outputs: vocabulary, inputs: width, key: NameTable.outputKey)
    _ = graph.append(
      "logits", width: vocabulary, .linear(stream, weight: output, bias: nil))
    return BuiltModel(
      model: Model(
        family: Family.opt.rawValue, kind: .decoder, vocabularySize: vocabulary,
        maximumPositions: positions, nodes: graph.nodes, weights: graph.weightShapes),
      bindings: graph.bindings,
      // Some writers store the tied output matrix a second time.
      unusedKeys: isTied ? [NameTable.outputKey] : [])
  }
}
