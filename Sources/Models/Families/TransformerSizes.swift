// The sizes that every family's configuration states, under keys of its own.

import Bytes

/// Sizes of a transformer.
struct TransformerSizes {
  var width: Int
  /// Width of the feed-forward layers.
  var innerWidth: Int
  var headCount: Int
  /// Heads of keys and values.
  var keyHeadCount: Int
  var headWidth: Int
  var layerCount: Int
  var vocabulary: Int
  /// Length of the longest text.
  var positions: Int

  /// Where config.json has them.
  struct Keys {
    /// Of several, the first that is there counts.
    var width = ["hidden_size"]
    /// Nil where it is a fixed multiple of the width.
    var innerWidth: String? = "intermediate_size"
    /// Multiple of the width that stands for an absent inner width; nil where it must be there.
    var innerWidthMultiple: Int?
    var headCount = ["num_attention_heads"]
    /// Nil where there are as many key heads as query heads.
    var keyHeadCount: String?
    /// Nil where heads divide the width.
    var headWidth: String?
    var layerCount = ["num_hidden_layers"]
    var positions = ["max_position_embeddings"]

    /// As BERT and its descendants have them.
    static let plain = Keys()
    /// As LLaMA and its descendants have them.
    static let grouped = Keys(keyHeadCount: "num_key_value_heads", headWidth: "head_dim")
  }

  /// Reads all sizes; nil where they do not fit together, after collecting why.
  init?(_ configuration: inout Configuration, _ keys: Keys = .plain) {
    let widthKey = configuration.present(among: keys.width)
    let headKey = configuration.present(among: keys.headCount)
    let width = configuration.integer(widthKey, in: Limits.width)
    let multiple = keys.innerWidthMultiple.flatMap { multiple in width.map { multiple * $0 } }
    let inner =
      keys.innerWidth.map { key in
        keys.innerWidthMultiple == nil
          ? configuration.integer(key, in: Limits.width)
          : configuration.integer(
            key, in: Limits.width, fallback: multiple,
            meaning: "\(keys.innerWidthMultiple ?? 1) * \(widthKey)")
      } ?? multiple
    let heads = configuration.integer(headKey, in: Limits.width)
    let keyHeads = keys.keyHeadCount.map {
      configuration.integer(
        $0, in: Limits.width, fallback: heads, meaning: headKey)
    }
    let divided = heads.flatMap { heads in width.map { $0 / heads } }
    let headWidth = keys.headWidth.map {
      configuration.integer(
        $0, in: Limits.width, fallback: divided, meaning: "\(widthKey) / \(headKey)")
    }
    let layers = configuration.integer(
      configuration.present(among: keys.layerCount), in: Limits.layerCount)
    let vocabulary = configuration.integer("vocab_size", in: Limits.vocabulary)
    let positions = configuration.integer(
      configuration.present(among: keys.positions), in: Limits.positions)
    guard let width, let inner, let heads, let layers, let vocabulary, let positions,
      let keyHeads = keyHeads ?? heads, let headWidth = headWidth ?? divided
    else { return nil }

    if !(keys.headWidth.map(configuration.has) ?? false), !width.isMultiple(of: heads) {
      configuration.fail(headKey, "\(heads) heads do not divide the hidden size \(width)")
      return nil
    }
    guard heads.isMultiple(of: keyHeads) else {
      configuration.fail(
        keys.keyHeadCount ?? headKey, "\(keyHeads) key heads do not divide \(heads) query heads")
      return nil
    }
    // Overflow of head width times head count is excluded before it is computed.
    guard headWidth > 0, headWidth <= Limits.width.upperBound / heads else {
      configuration.fail(
        keys.headWidth ?? headKey, "\(heads) heads of \(headWidth) elements are too wide")
      return nil
    }
    self.width = width
    innerWidth = inner
    headCount = heads
    keyHeadCount = keyHeads
    self.headWidth = headWidth
    layerCount = layers
    self.vocabulary = vocabulary
    self.positions = positions
  }
}
