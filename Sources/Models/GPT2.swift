// GPT-2 (Radford et al. 2019): causal decoder, normalisation before each sub-layer, tanh GELU, one
// matrix for query, key and value, matrices stored as [inputs, outputs].

import Bytes

enum GPT2 {
  static func build(_ configuration: inout Configuration, tensorNames: Set<String>) -> BuiltModel? {
    let width = configuration.integer("n_embd", in: Limits.width)
    let inner = configuration.integer(
      "n_inner", in: Limits.width, fallback: width.map { 4 * $0 }, meaning: "4 * n_embd")
    let heads = configuration.integer("n_head", in: Limits.width)
    let layers = configuration.integer("n_layer", in: Limits.layerCount)
    let vocabulary = configuration.integer("vocab_size", in: Limits.vocabulary)
    let positions = configuration.integer("n_positions", in: Limits.positions)
    let epsilon = configuration.positiveNumber("layer_norm_epsilon", fallback: 1e-5)
    let activation: Activation? = configuration.choice(
      "activation_function",
      among: [
        "gelu_new": .geluTanh, "gelu_pytorch_tanh": .geluTanh, "gelu": .gelu, "relu": .relu,
      ], fallback: "gelu_new")
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    configuration.require("scale_attn_weights", oneOf: [true], fallback: true)
    configuration.require("scale_attn_by_inverse_layer_idx", oneOf: [false], fallback: false)
    configuration.require("add_cross_attention", oneOf: [false], fallback: false)
    configuration.requireAbsent("quantization_config")
    guard let width, let inner, let heads, let layers, let vocabulary, let positions, let epsilon,
      let activation, let isTied
    else { return nil }
    guard width.isMultiple(of: heads) else {
      configuration.fail("n_head", "\(heads) heads do not divide the width \(width)")
      return nil
    }

    let names = names(of: tensorNames)
    var graph = GraphBuilder(names: names)
    let tokens = graph.weight("embedTokens", [vocabulary, width], key: "wte.weight")
    let positionTable = graph.weight("embedPositions", [positions, width], key: "wpe.weight")
    var stream = graph.append(
      "embed", width: width,
      .embed(tokens: tokens, positions: positionTable, positionOffset: 0, segments: nil))
    /// The part of the fused matrix that comes at `index` among query, key and value.
    func fused(_ index: Int) -> GraphBuilder.StoredMatrix {
      .init(outputRanges: [index * width..<(index + 1) * width], storedOutputs: 3 * width)
    }

    for index in 0..<layers {
      let layer = "layers.\(index)"
      let key = "h.\(index)."
      let normalised = graph.layerNorm(
        "\(layer).inputLayerNorm", stream, epsilon: epsilon, key: key + "ln_1")
      let fusedKey = key + "attn.c_attn"
      let attended = graph.selfAttention(
        layer, normalised, headCount: heads,
        keys: .init(
          query: fusedKey, key: fusedKey, value: fusedKey, output: key + "attn.c_proj"),
        stored: fused)
      stream = graph.append("\(layer).attentionResidual", width: width, .add(stream, attended))

      let normalisedAgain = graph.layerNorm(
        "\(layer).postAttentionLayerNorm", stream, epsilon: epsilon, key: key + "ln_2")
      let down = graph.feedForward(
        layer, normalisedAgain, innerWidth: inner, activation, up: key + "mlp.c_fc",
        down: key + "mlp.c_proj")
      stream = graph.append("\(layer).feedForwardResidual", width: width, .add(stream, down))
    }

    stream = graph.layerNorm("finalLayerNorm", stream, epsilon: epsilon, key: "ln_f")
    let output =
      isTied
      ? tokens
      : graph.matrix(
        "lmHead", outputs: vocabulary, inputs: width, key: NameTable.outputKey,
        stored: .init(layout: .outputsInputs))
    _ = graph.append("logits", width: vocabulary, .linear(stream, weight: output, bias: nil))

    // Causal masks that old files hold, and the output matrix that some store although it is tied.
    var unused = (0..<layers).flatMap { ["h.\($0).attn.bias", "h.\($0).attn.masked_bias"] }
    if isTied { unused.append(NameTable.outputKey) }
    return BuiltModel(
      model: Model(
        family: Family.gpt2.rawValue, kind: .decoder, vocabularySize: vocabulary,
        maximumPositions: positions, nodes: graph.nodes, weights: graph.weightShapes),
      bindings: graph.bindings, unusedKeys: Set(unused.map(names.storedKey)))
  }

  private static func names(of tensorNames: Set<String>) -> NameTable {
    // The embeddings' last part is that of Keras or, in files of old, that of PyTorch.
    for table in ["embeddings", "weight"] {
      guard let root = NameTable.root(before: "wte/\(table):0", in: tensorNames) else { continue }
      return NameTable(name: "TensorFlow", matrices: .inputsOutputs, biasesAreRows: true) {
        root + tensorFlowKey($0, table: table)
      }
    }
    return .prefixed(
      ["transformer.", ""], of: "wte.weight", in: tensorNames, matrices: .inputsOutputs)
  }

  /// "h.0.ln_1.weight" as "h_._0/ln_1/gamma:0".
  private static func tensorFlowKey(_ key: String, table: String) -> String {
    var parts = key.split(separator: ".").map(String.init)
    if parts.count > 2, parts[0] == "h" { parts.replaceSubrange(..<2, with: ["h_._\(parts[1])"]) }
    let stem = parts.dropLast().last ?? ""
    if stem.hasPrefix("ln_") {
      parts[parts.count - 1] = parts.last == "weight" ? "gamma" : "beta"
    } else if stem == "wte" || stem == "wpe" {
      parts[parts.count - 1] = table
    }
    return parts.joined(separator: "/") + ":0"
  }
}
