// Puts a Model graph together node by node and records which checkpoint tensor each weight is.

/// The nodes so far, and the weights that they name.
struct GraphBuilder {
  /// Name of the matrix of scores, where that is not the token table.
  static let outputWeight = "lmHead"

  private let names: NameTable
  /// What stands before the keys of the layer that is being built.
  var keyPrefix = ""
  private(set) var nodes: [ModelNode] = []
  /// By the weight's name in the graph.
  private(set) var bindings: [String: WeightBinding] = [:]

  init(names: NameTable = .plain) { self.names = names }

  /// Appends a node that writes a value of `width` columns.
  mutating func append(_ name: String, width: Int, _ operation: ModelOperation) -> ModelValue {
    nodes.append(ModelNode(name: name, operation: operation, width: width))
    return nodes.count - 1
  }

  private func storedKey(_ key: String) -> String { names.storedKey(keyPrefix + key) }

  /// Declares the weight `name` as the checkpoint's tensor `key` and returns the name.
  mutating func weight(_ name: String, _ shape: [Int], key: String, factor: Float = 1) -> String {
    bindings[name] = WeightBinding(
      shape: shape, key: storedKey(key), storedShape: shape, factor: factor)
    return name
  }

  /// Makes the weight `name`, [rows, inputs], rows of `width` by the matrix `key`.
  mutating func project(_ name: String, by key: String, to width: Int) {
    guard let shape = bindings[name]?.shape else { return }
    bindings[name]?.shape = [shape[0], width]
    let projection = WeightBinding.Projection(key: storedKey(key), shape: [width, shape[1]])
    bindings[name]?.projection = projection
  }

  /// The same of a weight that several layers share: `key` does not stand after a layer's prefix.
  mutating func sharedWeight(_ name: String, _ shape: [Int], key: String) -> String {
    let prefix = keyPrefix
    keyPrefix = ""
    defer { keyPrefix = prefix }
    return weight(name, shape, key: key)
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
      shape: [outputs, inputs], key: storedKey(key), storedShape: shape,
      isTransposed: layout != .outputsInputs, outputRanges: stored.outputRanges,
      factor: stored.factor)
    return name
  }

  /// A linear node; its weight [outputs, inputs] is called `weight`, its bias, where it has one,
  /// `bias`.
  mutating func linear(
    _ node: String, _ input: ModelValue, outputs: Int, weight: String, bias: String,
    _ linear: LinearDescription
  ) -> ModelValue {
    let weight = matrix(
      weight, outputs: outputs, inputs: nodes[input].width, key: linear.weight,
      stored: linear.stored)
    if let key = linear.bias {
      let length = linear.stored.storedOutputs ?? outputs
      bindings[bias] = WeightBinding(
        shape: [outputs], key: storedKey(key),
        storedShape: names.biasesAreRows ? [1, length] : [length],
        outputRanges: linear.stored.outputRanges, factor: linear.stored.factor)
    }
    return append(
      node, width: outputs,
      .linear(input, weight: weight, bias: linear.bias == nil ? nil : bias))
  }

  /// A layerNorm or rmsNorm node over `groupCount` groups, which share gamma, unless each has its
  /// own, and beta.
  mutating func norm(
    _ node: String, _ input: ModelValue, _ norm: NormDescription, groupCount: Int = 1
  ) -> ModelValue {
    let width = nodes[input].width
    let shape = [width / groupCount]
    var gamma: String?
    if let key = norm.gamma {
      let name = weight("\(node).gamma", shape, key: key)
      bindings[name]?.addend = norm.gammaAddend
      if !norm.moreGammas.isEmpty {
        bindings[name]?.shape = [width]
        let keys = norm.moreGammas.map(storedKey)
        bindings[name]?.moreKeys = keys
      }
      gamma = name
    }
    let beta = norm.beta.map { weight("\(node).beta", shape, key: $0) }
    let settings = Normalisation(
      gamma: gamma, beta: beta, groupCount: groupCount, epsilon: norm.epsilon)
    return append(
      node, width: width, norm.isCentred ? .layerNorm(input, settings) : .rmsNorm(input, settings))
  }

  /// The graph's weights, sorted by name.
  var weightShapes: [WeightShape] {
    bindings.sorted { $0.key < $1.key }.map { WeightShape(name: $0.key, shape: $0.value.shape) }
  }
}
