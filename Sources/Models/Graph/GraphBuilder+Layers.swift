// The parts of a layer: attention with its projections, and feed-forward.

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

  /// The linear node `projection` of `layer`, such as "layers.3".
  private mutating func linear(
    _ layer: String, _ projection: Projection, _ input: ModelValue, outputs: Int,
    inputAxes: [Int]? = nil, outputAxes: [Int]? = nil, _ linear: LinearDescription
  ) -> ModelValue {
    let (group, suffix) = projection.names
    var linear = linear
    linear.stored.inputAxes = inputAxes
    linear.stored.outputAxes = outputAxes
    return self.linear(
      "\(layer).\(projection.rawValue)", input, outputs: outputs,
      weight: "\(layer).\(group).w\(suffix)", bias: "\(layer).\(group).b\(suffix)", linear)
  }

  mutating func attention(
    _ layer: String, _ input: ModelValue, _ description: AttentionDescription,
    _ sizes: TransformerSizes
  ) -> ModelValue {
    let queryAxes = [sizes.headCount, sizes.headWidth]
    let keyAxes = [sizes.keyHeadCount, sizes.headWidth]
    let (queryWidth, keyWidth) = (queryAxes[0] * queryAxes[1], keyAxes[0] * keyAxes[1])
    var query = linear(
      layer, .query, input, outputs: queryWidth, outputAxes: queryAxes, description.query)
    var key = linear(layer, .key, input, outputs: keyWidth, outputAxes: keyAxes, description.key)
    let value = linear(
      layer, .value, input, outputs: keyWidth, outputAxes: keyAxes, description.value)
    if let norm = description.queryNorm {
      query = self.norm(
        "\(layer).attention.queryLayerNorm", query, norm,
        groupCount: description.normalisesHeads ? sizes.headCount : 1)
    }
    if let norm = description.keyNorm {
      key = self.norm(
        "\(layer).attention.keyLayerNorm", key, norm,
        groupCount: description.normalisesHeads ? sizes.keyHeadCount : 1)
    }
    if let rotary = description.rotary {
      query = append(
        "\(layer).attention.queryRotary", width: queryWidth,
        .rotary(query, headCount: sizes.headCount, rotary))
      key = append(
        "\(layer).attention.keyRotary", width: keyWidth,
        .rotary(key, headCount: sizes.keyHeadCount, rotary))
    }
    var bias = description.slopes.map { PositionBias.linear(slopes: $0) }
    if let (tableKey, buckets) = description.relative {
      let table = sharedWeight(
        "relativePositions", [buckets.count, sizes.headCount], key: tableKey)
      bias = .relative(table: table, buckets)
    }
    let attention = append(
      "\(layer).attention", width: queryWidth,
      .attention(
        query: query, key: key, value: value,
        AttentionSettings(
          headCount: sizes.headCount, keyHeadCount: sizes.keyHeadCount,
          scale: description.scale ?? 1 / Double(sizes.headWidth).squareRoot(),
          // A window changes nothing for texts that are no longer.
          window: description.window.flatMap { $0 < sizes.positions ? $0 : nil },
          softCap: description.softCap, bias: bias)))
    return linear(
      layer, .output, attention, outputs: sizes.width, inputAxes: queryAxes, description.output)
  }

  mutating func feedForward(
    _ layer: String, _ input: ModelValue, _ description: FeedForwardDescription,
    _ sizes: TransformerSizes
  ) -> ModelValue {
    let width = sizes.innerWidth
    let activation = ModelOperation.activation
    var inner: ModelValue
    if let gate = description.gate {
      let opening = linear(layer, .gate, input, outputs: width, gate)
      let active = append(
        "\(layer).feedForward.activation", width: width,
        activation(opening, description.activation))
      let up = linear(layer, .up, input, outputs: width, description.up)
      inner = append("\(layer).feedForward.product", width: width, .multiply(active, up))
    } else {
      inner = linear(layer, .up, input, outputs: width, description.up)
      inner = append(
        "\(layer).feedForward.activation", width: width, activation(inner, description.activation))
    }
    return linear(layer, .down, inner, outputs: sizes.width, description.down)
  }
}
