// Puts a Model graph together node by node and records which checkpoint tensor each weight is.

/// The nodes so far, and the weights that they name.
struct GraphBuilder {
  private let names: NameTable
  private(set) var nodes: [ModelNode] = []
  /// By the weight's name in the graph.
  private(set) var bindings: [String: WeightBinding] = [:]

  init(names: NameTable = .plain) { self.names = names }

  /// Appends a node that writes a value of `width` columns.
  mutating func append(_ name: String, width: Int, _ operation: ModelOperation) -> ModelValue {
    nodes.append(ModelNode(name: name, operation: operation, width: width))
    return nodes.count - 1
  }

  /// Declares the weight `name` as the checkpoint's tensor `key` and returns the name.
  mutating func weight(_ name: String, _ shape: [Int], key: String) -> String {
    bindings[name] = WeightBinding(shape: shape, key: names.storedKey(key), storedShape: shape)
    return name
  }

  /// How a matrix is stored where that is not simply all of [outputs, inputs] or its transpose.
  struct StoredMatrix {
    /// What Keras splits the inputs into, such as [heads, head width]; nil where it does not.
    var inputAxes: [Int]?
    /// The same of the outputs.
    var outputAxes: [Int]?
    /// The stored outputs that the matrix consists of, out of `storedOutputs`.
    var outputRanges: [Range<Int>]?
    var storedOutputs: Int?
    /// What weight and bias are multiplied by.
    var factor: Float = 1
    /// Layout, where it is not that of the name table.
    var layout: MatrixLayout?
  }

  /// Declares the matrix `name`, [outputs, inputs], as the checkpoint's tensor `key`.
  mutating func matrix(
    _ name: String, outputs: Int, inputs: Int, key: String, stored: StoredMatrix = .init()
  ) -> String {
    let layout = stored.layout ?? names.matrices
    let storedOutputs = stored.storedOutputs ?? outputs
    let shape =
      switch layout {
      case .outputsInputs: [storedOutputs, inputs]
      case .inputsOutputs: [inputs, storedOutputs]
      case .inputAxesOutputAxes:
        (stored.inputAxes ?? [inputs]) + (stored.outputAxes ?? [storedOutputs])
      }
    bindings[name] = WeightBinding(
      shape: [outputs, inputs], key: names.storedKey(key), storedShape: shape,
      isTransposed: layout != .outputsInputs, outputRanges: stored.outputRanges,
      factor: stored.factor)
    return name
  }

  /// A linear node; weight [outputs, inputs] is `key`.weight, bias [outputs], where it is named,
  /// `key`.bias.
  mutating func linear(
    _ node: String, _ input: ModelValue, outputs: Int, weight: String, bias: String?, key: String,
    stored: StoredMatrix = .init()
  ) -> ModelValue {
    let weight = matrix(
      weight, outputs: outputs, inputs: nodes[input].width, key: key + ".weight", stored: stored)
    if let bias {
      let length = stored.storedOutputs ?? outputs
      bindings[bias] = WeightBinding(
        shape: [outputs], key: names.storedKey(key + ".bias"),
        storedShape: names.biasesAreRows ? [1, length] : [length],
        outputRanges: stored.outputRanges, factor: stored.factor)
    }
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
      node, width: width,
      .layerNorm(input, Normalisation(gamma: gamma, beta: beta, epsilon: epsilon)))
  }

  /// An rmsNorm node; gamma [width] is `key`.weight.
  mutating func rmsNorm(_ node: String, _ input: ModelValue, epsilon: Double, key: String)
    -> ModelValue
  {
    let width = nodes[input].width
    let gamma = weight("\(node).gamma", [width], key: key + ".weight")
    return append(
      node, width: width, .rmsNorm(input, Normalisation(gamma: gamma, epsilon: epsilon)))
  }

  /// The graph's weights, sorted by name.
  var weightShapes: [WeightShape] {
    bindings.sorted { $0.key < $1.key }.map { WeightShape(name: $0.key, shape: $0.value.shape) }
  }
}
