// What the layers of most families have in common: projections, attention, feed-forward.

extension GraphBuilder {
  /// A linear layer inside a transformer layer; raw values are its node there.
  enum Projection: String {
    case query = "attention.query"
    case key = "attention.key"
    case value = "attention.value"
    case output = "attention.output"
    case gate = "feedForward.gate"
    case up = "feedForward.up"
    case down = "feedForward.down"

    /// The weight's name in the layer is `group`.w`suffix`, the bias's `group`.b`suffix`.
    var names: (group: String, suffix: String) {
      switch self {
      case .query: ("attention", "q")
      case .key: ("attention", "k")
      case .value: ("attention", "v")
      case .output: ("attention", "o")
      case .gate: ("feedForward", "Gate")
      case .up: ("feedForward", "Up")
      case .down: ("feedForward", "Down")
      }
    }
  }

  /// The linear node `projection` of `layer`, such as "layers.3"; its tensors are `key`.weight and,
  /// where it has one, `key`.bias.
  mutating func linear(
    _ layer: String, _ projection: Projection, _ input: ModelValue, outputs: Int,
    hasBias: Bool = true, key: String, stored: StoredMatrix = .init()
  ) -> ModelValue {
    let (group, suffix) = projection.names
    return linear(
      "\(layer).\(projection.rawValue)", input, outputs: outputs,
      weight: "\(layer).\(group).w\(suffix)", bias: hasBias ? "\(layer).\(group).b\(suffix)" : nil,
      key: key, stored: stored)
  }

  /// Where the tensors of the four projections of attention are.
  struct AttentionKeys {
    var query: String
    var key: String
    var value: String
    var output: String
  }

  /// Self-attention of as many key heads as query heads, with biases and without positions of its
  /// own, as wide as `input`.
  ///
  /// - Parameter stored: How query (0), key (1) and value (2) are stored, where that is together.
  mutating func selfAttention(
    _ layer: String, _ input: ModelValue, headCount: Int, keys: AttentionKeys,
    stored: (Int) -> StoredMatrix = { _ in .init() }
  ) -> ModelValue {
    let width = nodes[input].width
    let query = linear(
      layer, .query, input, outputs: width, key: keys.query, stored: stored(0))
    let key = linear(layer, .key, input, outputs: width, key: keys.key, stored: stored(1))
    let value = linear(layer, .value, input, outputs: width, key: keys.value, stored: stored(2))
    let attention = append(
      "\(layer).attention", width: width,
      .attention(
        query: query, key: key, value: value,
        AttentionSettings(
          headCount: headCount, keyHeadCount: headCount,
          scale: 1 / Double(width / headCount).squareRoot())))
    return linear(layer, .output, attention, outputs: width, key: keys.output)
  }

  /// Up-projection, activation and down-projection to the width of `input`, with biases.
  mutating func feedForward(
    _ layer: String, _ input: ModelValue, innerWidth: Int, _ activation: Activation, up: String,
    down: String, storedDown: StoredMatrix = .init()
  ) -> ModelValue {
    let wide = linear(layer, .up, input, outputs: innerWidth, key: up)
    let active = append(
      "\(layer).feedForward.activation", width: innerWidth, .activation(wide, activation))
    return linear(
      layer, .down, active, outputs: nodes[input].width, key: down, stored: storedDown)
  }
}
