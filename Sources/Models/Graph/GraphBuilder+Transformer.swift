// From the description of a transformer to its graph: the skeleton that all families share.

extension TransformerDescription {
  func build() -> BuiltModel {
    var graph = GraphBuilder(names: names)
    var stream = graph.embedding(embedding, sizes)
    for (index, layer) in layers.enumerated() {
      stream = graph.layer(layer, index, key: "\(layerKey)\(index).", stream, sizes)
    }
    if let finalNorm { stream = graph.norm("finalLayerNorm", stream, finalNorm) }
    graph.head(head, stream, tokens: embedding, sizes)
    // Some writers store a tied matrix a second time.
    let tied = head.scores.flatMap { $0.isTied ? [$0.matrix.weight] : nil } ?? []
    return BuiltModel(
      model: Model(
        family: family.rawValue, kind: kind, output: head.output, vocabularySize: sizes.vocabulary,
        maximumPositions: sizes.positions, nodes: graph.nodes, weights: graph.weightShapes,
        contextMarkers: contextMarkers),
      bindings: graph.bindings,
      unusedKeys: Set((unusedKeys + tied).map(names.storedKey) + unusedNames)
        .subtracting(graph.bindings.values.flatMap { $0.tensors.map(\.key) }),
      isTied: head.scores?.isTied ?? false)
  }
}

extension GraphBuilder {
  mutating func embedding(_ embedding: EmbeddingDescription, _ sizes: TransformerSizes)
    -> ModelValue
  {
    let stored = embedding.width ?? sizes.width
    let width = embedding.tokenProjection == nil ? stored : sizes.width
    let tokens = weight(
      "embedTokens", [sizes.vocabulary, stored], key: embedding.tokens, factor: embedding.scale)
    if let projection = embedding.tokenProjection { project(tokens, by: projection, to: width) }
    let positions = embedding.positions.map {
      weight("embedPositions", [$0.rowCount, width], key: $0.key)
    }
    let segments = embedding.segments.map {
      weight("embedSegments", [$0.rowCount, width], key: $0.key)
    }
    var stream = append(
      "embed", width: width,
      .embed(
        tokens: tokens, positions: positions, positionOffset: embedding.positions?.offset ?? 0,
        segments: segments))
    if let norm = embedding.norm { stream = self.norm("embedLayerNorm", stream, norm) }
    if let projection = embedding.projection {
      stream = linear(
        "embedProjection", stream, outputs: sizes.width, weight: "embedProjection.w",
        bias: "embedProjection.b", projection)
    }
    return stream
  }

  /// Layer `index`, whose tensors have keys after `key`.
  mutating func layer(
    _ description: LayerDescription, _ index: Int, key: String, _ input: ModelValue,
    _ sizes: TransformerSizes
  ) -> ModelValue {
    let layer = "layers.\(index)"
    keyPrefix = key
    defer { keyPrefix = "" }
    let (first, second) = (description.attentionNorms, description.feedForwardNorms)

    let read = first.input.map { norm("\(layer).inputLayerNorm", input, $0) } ?? input
    var attended = attention(layer, read, description.attention, sizes)
    if let output = first.output {
      attended = norm("\(layer).attentionOutputLayerNorm", attended, output)
    }
    let residual = description.residualIsNormalised ? read : input
    var stream = append(
      "\(layer).attentionResidual", width: sizes.width, .add(residual, attended))
    if let sum = first.sum { stream = norm("\(layer).attentionLayerNorm", stream, sum) }

    var readAgain = description.isParallel ? (second.input == nil ? read : input) : stream
    if let input = second.input {
      readAgain = norm("\(layer).postAttentionLayerNorm", readAgain, input)
    }
    var written = feedForward(layer, readAgain, description.feedForward, sizes)
    if let output = second.output {
      written = norm("\(layer).feedForwardOutputLayerNorm", written, output)
    }
    let residualAgain = description.residualIsNormalised ? readAgain : stream
    stream = append(
      "\(layer).feedForwardResidual", width: sizes.width, .add(residualAgain, written))
    if let sum = second.sum { stream = norm("\(layer).feedForwardLayerNorm", stream, sum) }
    return stream
  }

  /// What stands behind the layers; the last node writes the output of the model.
  mutating func head(
    _ head: HeadDescription, _ input: ModelValue, tokens: EmbeddingDescription,
    _ sizes: TransformerSizes
  ) {
    var stream = input
    if let pooling = head.pooling {
      stream = append("pool", width: nodes[stream].width, .pool(stream, pooling))
    }
    if let transform = head.transform {
      let width = transform.width ?? nodes[stream].width
      stream = linear(
        "head.transform", stream, outputs: width, weight: "head.wTransform",
        bias: "head.bTransform", transform.linear)
      if let activation = transform.activation {
        stream = append("head.activation", width: width, .activation(stream, activation))
      }
    }
    if let norm = head.transformNorm { stream = self.norm("head.layerNorm", stream, norm) }
    if let scores = head.scores {
      stream = self.scores(head.output.rawValue, stream, scores, tokens, sizes)
    }
    if let cap = head.softCap {
      stream = append("softCap", width: nodes[stream].width, .softCap(stream, cap: cap))
    }
    if head.hasUnitLength {
      // x / |x| is x over its root mean square, over the root of the width.
      let width = nodes[stream].width
      let norm = NormDescription(isCentred: false, epsilon: 1e-12)
      stream = self.norm("embeddingNorm", stream, norm)
      stream = append(
        "embedding", width: width, .scale(stream, by: 1 / Double(width).squareRoot()))
    }
  }

  private mutating func scores(
    _ node: String, _ input: ModelValue, _ scores: ScoreDescription,
    _ embedding: EmbeddingDescription, _ sizes: TransformerSizes
  ) -> ModelValue {
    let count = scores.rowCount ?? sizes.vocabulary
    guard scores.isTied else {
      return linear(
        node, input, outputs: count, weight: GraphBuilder.outputWeight, bias: "lmHeadBias",
        scores.matrix)
    }
    // The table as it is stored, where tokens are scaled.
    let table =
      embedding.scale == 1 && embedding.tokenProjection == nil
      ? "embedTokens"
      : weight(GraphBuilder.outputWeight, [count, nodes[input].width], key: embedding.tokens)
    let bias = scores.matrix.bias.map { weight("lmHeadBias", [count], key: $0) }
    return append(node, width: count, .linear(input, weight: table, bias: bias))
  }
}
