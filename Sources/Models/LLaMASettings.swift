// What config.json says about a LLaMA or a Mistral; what changes the mathematics and is not
// implemented is a fault.

import Bytes

struct LLaMASettings {
  var width: Int
  var innerWidth: Int
  var headCount: Int
  /// Heads of keys and values.
  var keyHeadCount: Int
  /// Elements of a head, an even number.
  var headWidth: Int
  var layerCount: Int
  var vocabulary: Int
  var positions: Int
  var epsilon: Double
  var rotaryBase: Double
  /// Whether the token table is the output matrix, too.
  var isTied: Bool

  /// Reads all settings; nil where they describe no model, after collecting why.
  init?(_ configuration: inout Configuration, family: Family) {
    // The library's own defaults for a Mistral are those of the first one, 8 and 4096: too easy to
    // miss, so that they must be stated.
    if family == .mistral {
      configuration.requirePresent("num_key_value_heads")
      configuration.requirePresent("sliding_window")
    }
    let width = configuration.integer("hidden_size", in: Limits.width)
    let inner = configuration.integer("intermediate_size", in: Limits.width)
    let heads = configuration.integer("num_attention_heads", in: Limits.width)
    let keyHeads = configuration.integer(
      "num_key_value_heads", in: Limits.width, fallback: heads, meaning: "num_attention_heads")
    let divided = heads.flatMap { heads in width.map { $0 / heads } }
    let headWidth = configuration.integer(
      "head_dim", in: Limits.width, fallback: divided,
      meaning: "hidden_size / num_attention_heads")
    let layers = configuration.integer("num_hidden_layers", in: Limits.layerCount)
    let vocabulary = configuration.integer("vocab_size", in: Limits.vocabulary)
    let positions = configuration.integer("max_position_embeddings", in: Limits.positions)
    let epsilon = configuration.positiveNumber("rms_norm_eps", fallback: 1e-6)
    let isTied = configuration.bool("tie_word_embeddings", fallback: false)
    let base = LLaMASettings.rotaryBase(&configuration)
    configuration.require("hidden_act", oneOf: ["silu", "swish"], fallback: "silu")
    configuration.require("attention_bias", oneOf: [false], fallback: false)
    configuration.require("mlp_bias", oneOf: [false], fallback: false)
    let window = configuration.integer(
      "sliding_window", in: Limits.positions, fallback: positions, meaning: "the whole text")
    configuration.requireEach("layer_types", "full_attention")
    configuration.requireAbsent("quantization_config")
    guard let width, let inner, let heads, let keyHeads, let headWidth, let layers, let vocabulary,
      let positions, let epsilon, let base, let isTied, let window
    else { return nil }

    if !configuration.has("head_dim"), !width.isMultiple(of: heads) {
      configuration.fail(
        "num_attention_heads", "\(heads) heads do not divide the hidden size \(width)")
    } else if !headWidth.isMultiple(of: 2) {
      configuration.fail("head_dim", "heads of \(headWidth) elements cannot be turned by pairs")
    }
    if !heads.isMultiple(of: keyHeads) {
      configuration.fail(
        "num_key_value_heads", "\(keyHeads) key heads do not divide \(heads) query heads")
    }
    // A window changes nothing for a text that is no longer.
    if window < positions {
      configuration.fail(
        "sliding_window",
        "\(window) is not implemented for texts of up to max_position_embeddings = \(positions)")
    }
    // Overflow of head width times head count is excluded before it is computed.
    guard headWidth <= Limits.width.upperBound / max(heads, keyHeads) else {
      configuration.fail("head_dim", "\(heads) heads of \(headWidth) elements are too wide")
      return nil
    }
    guard heads.isMultiple(of: keyHeads), headWidth.isMultiple(of: 2),
      configuration.has("head_dim") || width.isMultiple(of: heads)
    else { return nil }
    self.width = width
    innerWidth = inner
    headCount = heads
    keyHeadCount = keyHeads
    self.headWidth = headWidth
    layerCount = layers
    self.vocabulary = vocabulary
    self.positions = positions
    self.epsilon = epsilon
    rotaryBase = base
    self.isTied = isTied
  }

  /// The base of the rotary angles, from `rope_theta` or, in newer files, `rope_parameters`.
  private static func rotaryBase(_ configuration: inout Configuration) -> Double? {
    configuration.require("partial_rotary_factor", oneOf: [1, 1.0], fallback: 1)
    // Both names have been used for the type; "default" is no scaling.
    configuration.requireAbsent("rope_scaling", unless: ["rope_type", "type"], are: "default")
    configuration.require("rope_parameters.rope_type", oneOf: ["default"], fallback: "default")
    configuration.require(
      "rope_parameters.partial_rotary_factor", oneOf: [1, 1.0], fallback: 1)
    let old = configuration.positiveNumber("rope_theta", fallback: 10000)
    let hasParameters = configuration.has("rope_parameters")
    let new = configuration.positiveNumber(
      "rope_parameters.rope_theta", fallback: hasParameters ? nil : old ?? 10000,
      meaning: "rope_theta")
    return hasParameters ? new : old
  }
}
