// A LLaMA-like model graph put together by hand, for what its operations demand of a program.

public import Bytes
public import Models

/// A graph with weights from a fixed sequence, independent of checkpoints and their keys.
public struct TinyGraph: WeightSource {
  public internal(set) var model: Model
  private var values: [String: [Float]] = [:]
  private var state: UInt64 = 0x11a3a

  /// One layer with rotary positions, grouped queries and gated SiLU; vocabulary 11, 6 positions.
  public static func llama(
    heads: Int = 4, keyHeads: Int = 2, headWidth: Int = 4, layout: RotaryLayout = .halves,
    rotaryDimensions: Int = 4
  ) -> TinyGraph {
    let width = heads * headWidth
    var graph = TinyGraph(
      model: Model(
        family: "llama", kind: .decoder, vocabularySize: 11, maximumPositions: 6, nodes: [],
        weights: []))
    func rotary(_ name: String, _ input: ModelValue, _ headCount: Int) -> ModelValue {
      graph.append(
        name, headCount * headWidth,
        .rotary(
          input, headCount: headCount,
          RotaryPositions(base: 100, dimensions: rotaryDimensions, layout: layout)))
    }
    let tokens = graph.weight("embedTokens", [11, width])
    let embedded = graph.append(
      "embed", width, .embed(tokens: tokens, positions: nil, positionOffset: 0, segments: nil))
    let normalised = graph.rmsNorm("layers.0.inputNorm", embedded)
    let query = graph.linear("layers.0.attention.query", normalised, width)
    let key = graph.linear("layers.0.attention.key", normalised, keyHeads * headWidth)
    let value = graph.linear("layers.0.attention.value", normalised, keyHeads * headWidth)
    let attention = graph.append(
      "layers.0.attention", width,
      .attention(
        query: rotary("layers.0.attention.rotaryQuery", query, heads),
        key: rotary("layers.0.attention.rotaryKey", key, keyHeads), value: value,
        AttentionSettings(
          headCount: heads, keyHeadCount: keyHeads, scale: 1 / Double(headWidth).squareRoot())))
    let attended = graph.linear("layers.0.attention.output", attention, width)
    let stream = graph.append("layers.0.attentionResidual", width, .add(embedded, attended))
    let normalisedAgain = graph.rmsNorm("layers.0.postAttentionNorm", stream)
    let gate = graph.linear("layers.0.feedForward.gate", normalisedAgain, 12)
    let up = graph.linear("layers.0.feedForward.up", normalisedAgain, 12)
    let active = graph.append("layers.0.feedForward.activation", 12, .activation(gate, .silu))
    let gated = graph.append("layers.0.feedForward.gated", 12, .multiply(active, up))
    let down = graph.linear("layers.0.feedForward.down", gated, width)
    let last = graph.append("layers.0.feedForwardResidual", width, .add(stream, down))
    _ = graph.linear("logits", graph.rmsNorm("finalNorm", last), 11)
    graph.model.weights.sort { $0.name < $1.name }
    return graph
  }

  init(model: Model) { self.model = model }

  public func weight(_ name: String) throws(InputError) -> [Float] {
    guard let weight = values[name] else {
      throw InputError("tiny graph", place: name, "there is no such weight")
    }
    return weight
  }

  mutating func append(_ name: String, _ width: Int, _ operation: ModelOperation)
    -> ModelValue
  {
    model.nodes.append(ModelNode(name: name, operation: operation, width: width))
    return model.nodes.count - 1
  }

  mutating func weight(_ name: String, _ shape: [Int], center: Float = 0) -> String {
    model.weights.append(WeightShape(name: name, shape: shape))
    values[name] = (0..<shape.reduce(1, *)).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return center + Float(state >> 40) / Float(1 << 24) - 0.5
    }
    return name
  }

  private mutating func rmsNorm(_ name: String, _ input: ModelValue) -> ModelValue {
    let width = model.nodes[input].width
    let gamma = weight("\(name).gamma", [width], center: 1)
    return append(name, width, .rmsNorm(input, Normalisation(gamma: gamma, epsilon: 1e-5)))
  }

  mutating func linear(_ name: String, _ input: ModelValue, _ outputs: Int) -> ModelValue {
    let matrix = weight("\(name).w", [outputs, model.nodes[input].width])
    return append(name, outputs, .linear(input, weight: matrix, bias: nil))
  }
}
