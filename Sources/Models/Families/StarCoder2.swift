// StarCoder2 (Lozhkov et al. 2024): LLaMA's attention with biases, LayerNorm, no gate, a window.

import Bytes

enum StarCoder2 {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    configuration.defaults = ["num_key_value_heads": 2]
    let sizes = TransformerSizes(&configuration, .grouped)
    let epsilon = configuration.positiveNumber("norm_epsilon", fallback: 1e-5)
    let activation = configuration.activation("hidden_act", fallback: "gelu_pytorch_tanh")
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    let rotary = RotarySettings(&configuration)
    let window = configuration.window()
    let hasBias = configuration.bool("use_bias", fallback: true)
    guard let sizes, let epsilon, let isTied, let hasBias,
      let positions = rotary?.positions(&configuration, sizes)
    else { return nil }

    var layer = LLaMA.gatedLayer(
      activation, rotary: positions, window: window, hasBias: hasBias,
      attentionNorms: NormPlaces(input: .layer("input_layernorm", epsilon)),
      feedForwardNorms: NormPlaces(input: .layer("post_attention_layernorm", epsilon)))
    layer.feedForward = FeedForwardDescription(
      activation: activation, up: .init("mlp.c_fc", bias: hasBias),
      down: .init("mlp.c_proj", bias: hasBias))
    return LLaMA.describe(
      .starcoder2, sizes, layers: Array(repeating: layer, count: sizes.layerCount),
      finalNorm: .layer("norm", epsilon), isTied: isTied,
      names: .prefixed(["model.", ""], of: "embed_tokens.weight", in: tensorNames))
  }
}
