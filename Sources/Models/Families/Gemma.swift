// Gemma (Gemma team 2024), Gemma 2 and the text part of Gemma 3: LLaMA with scaled tokens, norms
// that store gamma - 1, and a tanh GELU; later ones normalise what parts write, too, and have
// windows in most layers.

import Bytes
import Foundation

enum Gemma {
  /// What the library takes where a key is absent: published files of Gemma 3 leave most out.
  private static let defaults: [Family: [String: JSON]] = [
    .gemma: ["num_key_value_heads": 16, "head_dim": 256],
    .gemma2: [
      "num_key_value_heads": 4, "head_dim": 256, "query_pre_attn_scalar": 256,
      "sliding_window": 4096, "final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0,
    ],
    .gemma3Text: [
      "vocab_size": 262_208, "hidden_size": 2304, "intermediate_size": 9216,
      "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
      "max_position_embeddings": 131_072, "query_pre_attn_scalar": 256, "sliding_window": 4096,
      "rope_theta": 1_000_000.0, "sliding_window_pattern": 6,
    ],
  ]

  static func describe(
    _ configuration: inout Configuration, family: Family, tensorNames: Set<String>
  ) -> TransformerDescription? {
    if family == .gemma3 {
      configuration.scope = "text_config."
      defer { configuration.scope = "" }
      return describe(&configuration, family: .gemma3Text, tensorNames: tensorNames)?
        .insideImageModel(tensorNames)
    }
    configuration.defaults = defaults[family] ?? [:]
    let sizes = TransformerSizes(&configuration, .grouped)
    let epsilon = configuration.positiveNumber("rms_norm_eps", fallback: 1e-6)
    let activation = activation(&configuration, family)
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    let hasBias = configuration.bool("attention_bias", fallback: false)
    var settings = LayerSettings()
    if family != .gemma {
      settings = LayerSettings(&configuration, family, layerCount: sizes?.layerCount ?? 0)
    }
    let rotary = rotary(&configuration, family)
    guard let sizes, let epsilon, let isTied, let hasBias, let rotary,
      let full = rotary.full.positions(&configuration, sizes),
      let sliding = rotary.sliding.positions(&configuration, sizes)
    else { return nil }

    func norm(_ key: String) -> NormDescription { .rootMeanSquare(key, epsilon, addend: 1) }
    let layers = (0..<sizes.layerCount).map { index in
      let isSliding = settings.isSliding.isEmpty ? false : settings.isSliding[index]
      var layer = LLaMA.gatedLayer(
        activation, rotary: isSliding ? sliding : full, window: isSliding ? settings.window : nil,
        hasBias: hasBias, attentionNorms: NormPlaces(input: norm("input_layernorm")),
        feedForwardNorms: NormPlaces(input: norm("post_attention_layernorm")))
      if family != .gemma {
        layer.attentionNorms.output = norm("post_attention_layernorm")
        layer.feedForwardNorms.input = norm("pre_feedforward_layernorm")
        layer.feedForwardNorms.output = norm("post_feedforward_layernorm")
        layer.attention.scale = settings.scale
        layer.attention.softCap = settings.softCap
      }
      if family == .gemma3Text {
        layer.attention.queryNorm = norm("self_attn.q_norm")
        layer.attention.keyNorm = norm("self_attn.k_norm")
      }
      return layer
    }
    var result = LLaMA.describe(
      family, sizes, layers: layers, finalNorm: norm("norm"), isTied: isTied,
      names: .prefixed(["model.", ""], of: "embed_tokens.weight", in: tensorNames))
    result.embedding.scale = Float(sizes.width).squareRoot()
    result.head.softCap = settings.outputCap
    return result
  }

  /// Two keys have been used, and library versions differ in which of them counts; the first
  /// published files say "gelu" in the older and mean the tanh GELU that Gemma was trained with.
  /// Earlier versions of the library take it for that, later ones for the exact one.
  private static func activation(_ configuration: inout Configuration, _ family: Family)
    -> Activation
  {
    let new = configuration.activation("hidden_activation", fallback: "gelu_pytorch_tanh")
    guard family == .gemma else { return new }
    let legacy = configuration.text("hidden_act") == "gelu"
    let old: Activation =
      legacy
      ? .geluTanh : configuration.activation("hidden_act", fallback: "gelu_pytorch_tanh")
    if legacy, new == .gelu { return new }
    if legacy {
      configuration.tell(
        "hidden_act",
        "\"gelu\" is taken for the tanh GELU, which Gemma was trained with; versions of transformers "
          + "that take the exact one give logits that differ by some thousandths")
    }
    if configuration.has("hidden_activation"), old != new {
      configuration.fail("hidden_act", "is another function than hidden_activation")
    }
    return old
  }

  /// Gemma 3 turns layers with windows by another base.
  private static func rotary(_ configuration: inout Configuration, _ family: Family)
    -> (full: RotarySettings, sliding: RotarySettings)?
  {
    guard family == .gemma3Text else {
      return RotarySettings(&configuration).map { ($0, $0) }
    }
    var keys = RotarySettings.Keys(baseFallback: 1_000_000)
    if configuration.has("rope_parameters.full_attention") {
      keys.parameters = "rope_parameters.full_attention"
    }
    let full = RotarySettings(&configuration, keys)
    // The scaling of the others is not theirs.
    let sliding = RotarySettings(
      &configuration,
      .init(
        base: "rope_local_base_freq", scaling: nil,
        parameters: "rope_parameters.sliding_attention"))
    guard let full, let sliding else { return nil }
    return (full, sliding)
  }
}

extension Gemma {
  /// What Gemma 2 and 3 have and Gemma has not.
  private struct LayerSettings {
    /// For each layer, or empty.
    var isSliding: [Bool] = []
    var window: Int?
    var scale: Double?
    var softCap: Double?
    var outputCap: Double?

    init() {}

    init(_ configuration: inout Configuration, _ family: Family, layerCount: Int) {
      window = configuration.window()
      let scalar = configuration.positiveNumber("query_pre_attn_scalar", fallback: 256)
      scale = scalar.map { 1 / $0.squareRoot() }
      softCap = configuration.optionalNumber("attn_logit_softcapping")
      outputCap = configuration.optionalNumber("final_logit_softcapping")
      var pattern = 2
      if family == .gemma3Text {
        configuration.require("use_bidirectional_attention", oneOf: [false], fallback: false)
        // The library reads the second cap and does not use it.
        softCap = nil
        let key = configuration.present(
          among: ["_sliding_window_pattern", "sliding_window_pattern"])
        pattern = configuration.integer(key, in: Limits.layerCount) ?? 1
      }
      isSliding =
        configuration.layers(
          "layer_types", count: layerCount,
          among: ["full_attention": false, "sliding_attention": true],
          fallback: { !($0 + 1).isMultiple(of: pattern) },
          meaning: "full_attention in every \(pattern == 2 ? "second" : "sixth") layer") ?? []
    }
  }
}

extension TransformerDescription {
  /// The text part of a model that sees: its tensors stand among those of the other part.
  fileprivate func insideImageModel(_ tensorNames: Set<String>) -> TransformerDescription {
    var result = self
    result.family = .gemma3
    result.names = .prefixed(
      ["language_model.model.", "model.language_model.", "model.language_model.model."],
      of: "embed_tokens.weight", in: tensorNames)
    result.unusedNames = tensorNames.filter { name in
      ["vision_tower.", "multi_modal_projector.", "language_model.lm_head."].contains {
        name.hasPrefix($0) || name.hasPrefix("model." + $0)
      }
    }
    return result
  }
}
