// LLaMA (Touvron et al. 2023) and Mistral (Jiang et al. 2023): causal decoder, RMSNorm before each
// sub-layer, rotary positions, grouped-query attention, SwiGLU.

import Bytes

enum LLaMA {
  static func build(
    _ configuration: inout Configuration, family: Family, tensorNames: Set<String>
  ) -> BuiltModel? {
    guard let settings = LLaMASettings(&configuration, family: family) else { return nil }
    let width = settings.width
    let (queryWidth, keyWidth) = (
      settings.headCount * settings.headWidth, settings.keyHeadCount * settings.headWidth
    )
    let queryAxes = [settings.headCount, settings.headWidth]
    let keyAxes = [settings.keyHeadCount, settings.headWidth]
    let names = names(of: tensorNames)
    var graph = GraphBuilder(names: names)
    let tokens = graph.weight(
      "embedTokens", [settings.vocabulary, width], key: "embed_tokens.weight")
    var stream = graph.append(
      "embed", width: width,
      .embed(tokens: tokens, positions: nil, positionOffset: 0, segments: nil))

    for index in 0..<settings.layerCount {
      let layer = "layers.\(index)"
      let key = "layers.\(index)."
      let normalised = graph.rmsNorm(
        "\(layer).inputLayerNorm", stream, epsilon: settings.epsilon, key: key + "input_layernorm")
      let query = graph.linear(
        layer, .query, normalised, outputs: queryWidth, hasBias: false,
        key: key + "self_attn.q_proj",
        stored: .init(outputAxes: queryAxes))
      let keys = graph.linear(
        layer, .key, normalised, outputs: keyWidth, hasBias: false, key: key + "self_attn.k_proj",
        stored: .init(outputAxes: keyAxes))
      let values = graph.linear(
        layer, .value, normalised, outputs: keyWidth, hasBias: false, key: key + "self_attn.v_proj",
        stored: .init(outputAxes: keyAxes))
      let turnedQuery = graph.append(
        "\(layer).attention.queryRotary", width: queryWidth,
        .rotary(
          query, headCount: settings.headCount,
          RotaryPositions(
            base: settings.rotaryBase, dimensions: settings.headWidth, layout: .halves)))
      let turnedKeys = graph.append(
        "\(layer).attention.keyRotary", width: keyWidth,
        .rotary(
          keys, headCount: settings.keyHeadCount,
          RotaryPositions(
            base: settings.rotaryBase, dimensions: settings.headWidth, layout: .halves)))
      let attention = graph.append(
        "\(layer).attention", width: queryWidth,
        .attention(
          query: turnedQuery, key: turnedKeys, value: values,
          AttentionSettings(
            headCount: settings.headCount, keyHeadCount: settings.keyHeadCount,
            scale: 1 / Double(settings.headWidth).squareRoot())))
      let attended = graph.linear(
        layer, .output, attention, outputs: width, hasBias: false, key: key + "self_attn.o_proj",
        stored: .init(inputAxes: queryAxes))
      stream = graph.append("\(layer).attentionResidual", width: width, .add(stream, attended))

      let normalisedAgain = graph.rmsNorm(
        "\(layer).postAttentionLayerNorm", stream, epsilon: settings.epsilon,
        key: key + "post_attention_layernorm")
      let gate = graph.linear(
        layer, .gate, normalisedAgain, outputs: settings.innerWidth, hasBias: false,
        key: key + "mlp.gate_proj")
      let active = graph.append(
        "\(layer).feedForward.activation", width: settings.innerWidth, .activation(gate, .silu))
      let up = graph.linear(
        layer, .up, normalisedAgain, outputs: settings.innerWidth, hasBias: false,
        key: key + "mlp.up_proj")
      let product = graph.append(
        "\(layer).feedForward.product", width: settings.innerWidth, .multiply(active, up))
      let down = graph.linear(
        layer, .down, product, outputs: width, hasBias: false, key: key + "mlp.down_proj")
      stream = graph.append("\(layer).feedForwardResidual", width: width, .add(stream, down))
    }

    stream = graph.rmsNorm("finalLayerNorm", stream, epsilon: settings.epsilon, key: "norm")
    let output =
      settings.isTied
      ? tokens
      : graph.matrix(
        "lmHead", outputs: settings.vocabulary, inputs: width, key: NameTable.outputKey)
    _ = graph.append(
      "logits", width: settings.vocabulary, .linear(stream, weight: output, bias: nil))

    // Frequencies that old files hold, and the output matrix that some store although it is tied.
    var unused = (0..<settings.layerCount).map { "layers.\($0).self_attn.rotary_emb.inv_freq" }
    if settings.isTied { unused.append(NameTable.outputKey) }
    return BuiltModel(
      model: Model(
        family: family.rawValue, kind: .decoder, vocabularySize: settings.vocabulary,
        maximumPositions: settings.positions, nodes: graph.nodes, weights: graph.weightShapes),
      bindings: graph.bindings, unusedKeys: Set(unused.map(names.storedKey)))
  }

  private static func names(of tensorNames: Set<String>) -> NameTable {
    if let root = NameTable.root(before: "reversible_embedding/vars/0", in: tensorNames) {
      return NameTable(name: "Keras 3", matrices: .inputAxesOutputAxes) { root + kerasKey($0) }
    }
    return .prefixed(["model.", ""], of: "embed_tokens.weight", in: tensorNames)
  }

  /// Layers of KerasHub's LlamaBackbone by the stems of Hugging Face's keys.
  private static let kerasNames = [
    "embed_tokens": "reversible_embedding/vars/0",
    "lm_head": "reversible_embedding/vars/1",
    "norm": "llama_layer_norm/vars/0",
    "input_layernorm": "_self_attention_layernorm/vars/0",
    "self_attn.q_proj": "_self_attention_layer/_query_dense/vars/0",
    "self_attn.k_proj": "_self_attention_layer/_key_dense/vars/0",
    "self_attn.v_proj": "_self_attention_layer/_value_dense/vars/0",
    "self_attn.o_proj": "_self_attention_layer/_output_dense/vars/0",
    "post_attention_layernorm": "_feedforward_layernorm/vars/0",
    "mlp.gate_proj": "_feedforward_gate_dense/vars/0",
    "mlp.up_proj": "_feedforward_intermediate_dense/vars/0",
    "mlp.down_proj": "_feedforward_output_dense/vars/0",
  ]

  /// "layers.2.mlp.up_proj.weight" as
  /// "llama_transformer_decoder_2/_feedforward_intermediate_dense/vars/0".
  private static func kerasKey(_ key: String) -> String {
    let parts = key.split(separator: ".").dropLast()
    guard parts.first == "layers", parts.count > 2 else {
      return kerasNames[parts.joined(separator: ".")] ?? key
    }
    let stem = parts.dropFirst(2).joined(separator: ".")
    let number = parts[1] == "0" ? "" : "_\(parts[1])"
    return "llama_transformer_decoder\(number)/\(kerasNames[stem] ?? stem)"
  }
}
