// Small random graphs of every kind of transformer that a Model can say.

public import Models

extension TinyGraph {
  public static let vocabularySize = 11
  public static let maximumPositions = 12
  static let width = 16
  static let headCount = 4

  /// Layers, two by default, of width 16 with 4 heads, vocabulary 11, 12 positions.
  public init(_ kind: GraphKind) {
    self.init(
      model: Model(
        family: "test", kind: kind.kind, vocabularySize: Self.vocabularySize,
        maximumPositions: Self.maximumPositions, nodes: [], weights: [],
        contextMarkers: kind.contextMarkers))
    var stream = embed(kind)
    // T5's layers share a table.
    var bias = kind.bias
    if case .relative(let table, let buckets)? = bias {
      bias = .relative(table: weight(table, [buckets.count, Self.headCount]), buckets)
    }
    for layer in kind.windows.indices {
      stream = self.layer(layer, stream, kind, bias)
    }
    if kind.finalNorm { stream = norm("finalNorm", stream, kind) }
    if let pooling = kind.pooling {
      stream = append("pool", Self.width, .pool(stream, pooling))
      model.output = .embedding
    }
    for part in kind.head {
      switch part {
      case "tanh":
        stream = append(
          "pooler.tanh", Self.width, .activation(linear("pooler", stream, Self.width, kind), .tanh))
      case "classes":
        stream = linear("classes", stream, 3, kind)
        model.output = kind.pooling == nil ? .tokenClasses : .classes
      case "normalise":
        let normalised = append(
          "normalised", Self.width,
          .rmsNorm(stream, Normalisation(gamma: nil, epsilon: 1e-12)))
        stream = append("unit", Self.width, .scale(normalised, by: 0.25))
      default: break
      }
    }
    if kind.kind.isDecoder {
      stream = linear("logits", stream, Self.vocabularySize)
      if let cap = kind.outputCap {
        stream = append("cap", Self.vocabularySize, .softCap(stream, cap: cap))
      }
    }
    model.weights.sort { $0.name < $1.name }
  }

  private mutating func embed(_ kind: GraphKind) -> ModelValue {
    let width = kind.embedWidth ?? Self.width
    let tokens = weight("embedTokens", [Self.vocabularySize, width])
    let positions =
      kind.hasPositions ? weight("embedPositions", [Self.maximumPositions + 2, width]) : nil
    let segments = kind.hasSegments ? weight("embedSegments", [2, width]) : nil
    var stream = append(
      "embed", width,
      .embed(
        tokens: tokens, positions: positions, positionOffset: kind.hasPositions ? 2 : 0,
        segments: segments))
    if kind.embedScale != 1 {
      stream = append("embedScale", width, .scale(stream, by: kind.embedScale))
    }
    if kind.embedWidth != nil { stream = linear("embedProjection", stream, Self.width) }
    return kind.embedNorm ? norm("embedNorm", stream, kind) : stream
  }

  private mutating func layer(
    _ number: Int, _ input: ModelValue, _ kind: GraphKind, _ bias: PositionBias?
  ) -> ModelValue {
    let name = "layers.\(number)"
    let read = kind.preNorm ? norm("\(name).inputNorm", input, kind) : input
    var attended = attention(number, read, kind, bias)
    if kind.sublayerNorm { attended = norm("\(name).attentionNorm", attended, kind) }
    if kind.residualScale != 1 {
      attended = append(
        "\(name).attentionScale", Self.width, .scale(attended, by: kind.residualScale))
    }
    var stream = append(
      "\(name).attentionResidual", Self.width,
      .add(kind.residualIsNormalised ? read : input, attended))
    if kind.sumNorm { stream = norm("\(name).attentionSumNorm", stream, kind) }
    let second =
      kind.isParallel
      ? read : kind.preNorm ? norm("\(name).feedForwardNorm", stream, kind) : stream
    var forward = feedForward(name, second, kind, gateInput: read)
    if kind.sublayerNorm { forward = norm("\(name).feedForwardOutputNorm", forward, kind) }
    stream = append(
      "\(name).feedForwardResidual", Self.width,
      .add(kind.residualIsNormalised ? second : stream, forward))
    return kind.sumNorm ? norm("\(name).feedForwardSumNorm", stream, kind) : stream
  }

  private mutating func attention(
    _ number: Int, _ read: ModelValue, _ kind: GraphKind, _ bias: PositionBias?
  ) -> ModelValue {
    let name = "layers.\(number).attention"
    let headWidth = Self.width / Self.headCount
    let gates = kind.skipsHeads ? headGates(number, kind) : nil
    var query = linear("\(name).query", read, Self.width, kind)
    var key = linear("\(name).key", read, kind.keyHeads * headWidth, kind)
    let value = linear("\(name).value", read, kind.keyHeads * headWidth, kind)
    switch kind.queryKeyNorm {
    case .none: break
    case .row:
      query = norm("\(name).queryNorm", query, kind)
      key = norm("\(name).keyNorm", key, kind)
    case .heads, .rowGamma:
      let isShared = if case .heads = kind.queryKeyNorm { true } else { false }
      query = norm("\(name).queryNorm", query, kind, groups: Self.headCount, isShared: isShared)
      key = norm("\(name).keyNorm", key, kind, groups: kind.keyHeads, isShared: isShared)
    }
    if let rotary = kind.rotary {
      query = append(
        "\(name).rotaryQuery", Self.width, .rotary(query, headCount: Self.headCount, rotary))
      key = append(
        "\(name).rotaryKey", kind.keyHeads * headWidth,
        .rotary(key, headCount: kind.keyHeads, rotary))
    }
    var mixed = append(
      name, Self.width,
      .attention(
        query: query, key: key, value: value,
        AttentionSettings(
          headCount: Self.headCount, keyHeadCount: kind.keyHeads, scale: kind.queryScale,
          window: kind.windows[number], softCap: kind.softCap, bias: bias)))
    if let gates { mixed = append("\(name).gated", Self.width, .gated(mixed, by: gates)) }
    return linear("\(name).output", mixed, Self.width, kind)
  }

  /// Gates that read what the feed-forward part of the layer before reads.
  private mutating func headGates(_ number: Int, _ kind: GraphKind) -> ModelValue? {
    let source = model.nodes.first { $0.name == "layers.\(number - 1).feedForward.gate" }
    guard case .linear(let read, _, _)? = source?.operation else { return nil }
    let name = "layers.\(number).headGate"
    let projection = linear("\(name).projection", read, 5)
    let score = linear("\(name).score", projection, Self.headCount, kind)
    return append(name, Self.headCount, .gates(score))
  }

  private mutating func feedForward(
    _ name: String, _ read: ModelValue, _ kind: GraphKind, gateInput: ModelValue
  ) -> ModelValue {
    let gates = kind.blockCount.map { count in
      let projection = linear("\(name).gate.projection", gateInput, 5)
      let score = linear("\(name).gate.score", projection, count, kind)
      return append("\(name).gate", count, .gates(score))
    }
    let gate = linear("\(name).feedForward.gate", read, 12, kind)
    var active = append(
      "\(name).feedForward.activation", 12, .activation(gate, kind.activation))
    if kind.isGated {
      let up = linear("\(name).feedForward.up", read, 12, kind)
      active = append("\(name).feedForward.product", 12, .multiply(active, up))
    }
    if let gates {
      active = append("\(name).feedForward.gated", 12, .gated(active, by: gates))
    }
    return linear("\(name).feedForward.down", active, Self.width, kind)
  }

  private mutating func linear(
    _ name: String, _ input: ModelValue, _ outputs: Int, _ kind: GraphKind
  ) -> ModelValue {
    let matrix = weight("\(name).w", [outputs, model.nodes[input].width])
    let bias = kind.hasBiases ? weight("\(name).b", [outputs]) : nil
    return append(name, outputs, .linear(input, weight: matrix, bias: bias))
  }

  private mutating func norm(
    _ name: String, _ input: ModelValue, _ kind: GraphKind, groups: Int = 1, isShared: Bool = false
  ) -> ModelValue {
    let width = model.nodes[input].width
    let size = isShared ? width / groups : width
    let settings = Normalisation(
      gamma: kind.hasGamma ? weight("\(name).gamma", [size], center: 1) : nil,
      beta: kind.hasBeta ? weight("\(name).beta", [size]) : nil, groupCount: groups,
      epsilon: kind.epsilon)
    return append(
      name, width, kind.usesRMS ? .rmsNorm(input, settings) : .layerNorm(input, settings))
  }
}

extension Model {
  /// `texts` as they are, and with the markers of a prefix decoder behind some and in the middle of
  /// others.
  public func texts(_ texts: [[Int]]) -> [[Int]] {
    guard let contextMarkers else { return texts }
    return texts.enumerated().map { index, text in
      let text = text.prefix(maximumPositions - 2)
      let end = index.isMultiple(of: 2) ? text.count / 2 : text.count
      return contextMarkers.text(context: Array(text[..<end]), generated: Array(text[end...]))
    }
  }
}
