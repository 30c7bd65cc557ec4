// GPT-2 (Radford et al. 2019): causal decoder, normalisation before each sub-layer, tanh GELU, one
// matrix for query, key and value, matrices stored as [inputs, outputs].

import Bytes

enum GPT2 {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    let sizes = TransformerSizes(
      &configuration,
      .init(
        width: ["n_embd"], innerWidth: "n_inner", innerWidthMultiple: 4, headCount: ["n_head"],
        layerCount: ["n_layer"], positions: ["n_positions"]))
    let epsilon = configuration.positiveNumber("layer_norm_epsilon", fallback: 1e-5)
    let activation = configuration.activation("activation_function", fallback: "gelu_new")
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    configuration.require("scale_attn_weights", oneOf: [true], fallback: true)
    let isScaledByLayer = configuration.bool("scale_attn_by_inverse_layer_idx", fallback: false)
    configuration.require("add_cross_attention", oneOf: [false], fallback: false)
    guard let sizes, let epsilon, let isTied, let isScaledByLayer else { return nil }

    let (query, key, value) = FusedProjection.blocks(sizes).parts("attn.c_attn")
    let headScale = 1 / Double(sizes.headWidth).squareRoot()
    let layers = (0..<sizes.layerCount).map { index in
      LayerDescription(
        attention: AttentionDescription(
          query: query, key: key, value: value, output: .init("attn.c_proj"),
          scale: isScaledByLayer ? headScale / Double(index + 1) : nil),
        feedForward: FeedForwardDescription(
          activation: activation, up: .init("mlp.c_fc"), down: .init("mlp.c_proj")),
        attentionNorms: NormPlaces(input: .layer("ln_1", epsilon)),
        feedForwardNorms: NormPlaces(input: .layer("ln_2", epsilon)))
    }
    return TransformerDescription(
      family: .gpt2, kind: .decoder, sizes: sizes, names: names(of: tensorNames),
      embedding: EmbeddingDescription(
        tokens: "wte.weight", positions: ("wpe.weight", sizes.positions, 0)),
      layerKey: "h.", layers: layers,
      finalNorm: .layer("ln_f", epsilon),
      head: .logits(
        isTied: isTied, .init("lm_head", bias: false, stored: .init(layout: .outputsInputs))),
      // Causal masks that old files hold.
      unusedKeys: (0..<sizes.layerCount).flatMap {
        ["h.\($0).attn.bias", "h.\($0).attn.masked_bias"]
      })
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
