// Puts a Model graph together node by node and records which checkpoint tensor each weight is.

/// A weight of the graph and the checkpoint tensor it is read from.
struct WeightBinding: Equatable, Sendable {
  var shape: [Int]
  /// The checkpoint's own key.
  var key: String
}

/// The nodes so far, and the weights that they name.
struct GraphBuilder {
  private(set) var nodes: [ModelNode] = []
  /// By the weight's name in the graph.
  private(set) var bindings: [String: WeightBinding] = [:]

  /// Appends a node that writes a value of `width` columns.
  mutating func append(_ name: String, width: Int, _ operation: ModelOperation) -> ModelValue {
    nodes.append(ModelNode(name: name, operation: operation, width: width))
    return nodes.count - 1
  }

  /// Declares the weight `name` as the checkpoint's tensor `key` and returns the name.
  mutating func weight(_ name: String, _ shape: [Int], key: String) -> String {
    bindings[name] = WeightBinding(shape: shape, key: key)
    return name
  }

  /// A linear node with bias; weight [outputs, inputs] is `key`.weight, bias [outputs] `key`.bias.
  mutating func linear(
    _ node: String, _ input: ModelValue, outputs: Int, weight: String, bias: String, key: String
  ) -> ModelValue {
    let inputs = nodes[input].width
    let weight = self.weight(weight, [outputs, inputs], key: key + ".weight")
    let bias = self.weight(bias, [outputs], key: key + ".bias")
    return append(node, width: outputs, .linear(input, weight: weight, bias: bias))
  }

  /// A layerNorm node; gamma [width] is `key`.weight, beta [width] `key`.bias.
  mutating func layerNorm(_ node: String, _ input: ModelValue, epsilon: Double, key: String)
    -> ModelValue
  {
    let width = nodes[input].width
    let gamma = weight("\(node).gamma", [width], key: key + ".weight")
    let beta = weight("\(node).beta", [width], key: key + ".bias")
    return append(
      node, width: width, .layerNorm(input, gamma: gamma, beta: beta, epsilon: epsilon))
  }

  /// The graph's weights, sorted by name.
  var weightShapes: [WeightShape] {
    bindings.sorted { $0.key < $1.key }.map { WeightShape(name: $0.key, shape: $0.value.shape) }
  }
}
