// Qwen 2 and 2.5 (Yang et al. 2024) and Qwen 3 (Yang et al. 2025): LLaMA with biases on query, key
// and value, or with normalised queries and keys instead.

import Bytes

enum Qwen {
  static func describe(
    _ configuration: inout Configuration, family: Family, tensorNames: Set<String>
  ) -> TransformerDescription? {
    configuration.defaults = [
      "num_key_value_heads": 32, "sliding_window": 4096, "max_window_layers": 28,
    ]
    if family == .qwen3 { configuration.defaults["head_dim"] = 128 }
    let sizes = TransformerSizes(&configuration, .grouped)
    let epsilon = configuration.positiveNumber("rms_norm_eps", fallback: 1e-6)
    let activation = configuration.activation("hidden_act", fallback: "silu")
    let isTied = configuration.bool("tie_word_embeddings", fallback: false)
    let rotary = RotarySettings(&configuration)
    let hasWindow = configuration.bool("use_sliding_window", fallback: false)
    let window = configuration.window()
    let firstLayer = configuration.integer(
      "max_window_layers", in: 0...Limits.layerCount.upperBound)
    let windows = configuration.layers(
      "layer_types", count: sizes?.layerCount ?? 0,
      among: ["full_attention": false, "sliding_attention": true],
      fallback: { $0 >= firstLayer ?? 0 }, meaning: "sliding_attention from max_window_layers on")
    let hasBias =
      family == .qwen3 ? configuration.bool("attention_bias", fallback: false) : true
    guard let sizes, let epsilon, let isTied, let hasWindow, let windows, let hasBias,
      let positions = rotary?.positions(&configuration, sizes)
    else { return nil }

    let layers = windows.map { isWindow in
      var layer = LLaMA.gatedLayer(
        activation, rotary: positions, window: hasWindow && isWindow ? window : nil,
        hasBias: hasBias,
        attentionNorms: NormPlaces(input: .rootMeanSquare("input_layernorm", epsilon)),
        feedForwardNorms: NormPlaces(input: .rootMeanSquare("post_attention_layernorm", epsilon)))
      if family == .qwen3 {
        layer.attention.queryNorm = .rootMeanSquare("self_attn.q_norm", epsilon)
        layer.attention.keyNorm = .rootMeanSquare("self_attn.k_norm", epsilon)
      } else {
        layer.attention.output.bias = nil
      }
      return layer
    }
    return LLaMA.describe(
      family, sizes, layers: layers, finalNorm: .rootMeanSquare("norm", epsilon), isTied: isTied,
      names: .prefixed(["model.", ""], of: "embed_tokens.weight", in: tensorNames))
  }
}
