// The Model graph: a transformer as an ordered list of operations on named values.

/// Whether positions attend to earlier positions only, or to the whole text.
public enum ModelKind: String, Sendable, CaseIterable {
  /// Causal; the output is one row of logits a position.
  case decoder
  /// Bidirectional; the output is the last hidden state of every position.
  case encoder
}

/// Element-wise activation functions of the supported families.
public enum Activation: String, Sendable, CaseIterable {
  case relu
  /// x * Phi(x), with the exact error function.
  case gelu
}

/// Index of a value in `Model.operations`: operation i writes value i.
public typealias ModelValue = Int

/// One transformer-level operation; activations have shape [positions, width].
public enum ModelOperation: Equatable, Sendable {
  /// token table row + position table row (position + offset) + `segments` row 0 where present.
  case embed(tokens: String, positions: String, positionOffset: Int, segments: String?)
  /// gamma * (x - mean) / sqrt(variance + epsilon) + beta, over the width.
  case layerNorm(ModelValue, gamma: String, beta: String, epsilon: Double)
  /// x W^T + b; the weight is row-major [outputs, inputs].
  case linear(ModelValue, weight: String, bias: String?)
  /// softmax(scale * q k^T) v for each head; causal for decoders.
  case attention(
    query: ModelValue, key: ModelValue, value: ModelValue, headCount: Int, scale: Double)
  case activation(ModelValue, Activation)
  case add(ModelValue, ModelValue)
}

/// An operation with the name that reports and errors use, such as "layers.3.attention.query".
public struct ModelNode: Equatable, Sendable {
  public var name: String
  public var operation: ModelOperation
  /// Width of the value this operation writes.
  public var width: Int

  public init(name: String, operation: ModelOperation, width: Int) {
    self.name = name
    self.operation = operation
    self.width = width
  }
}

/// A weight tensor: its own name in the graph and its shape (row-major).
public struct WeightShape: Equatable, Sendable {
  public var name: String
  public var shape: [Int]

  public init(name: String, shape: [Int]) {
    self.name = name
    self.shape = shape
  }

  public var elementCount: Int { shape.reduce(1, *) }
}

/// A model as its operations in order; the last operation writes the output.
public struct Model: Equatable, Sendable {
  /// `model_type` of the checkpoint's configuration, such as "opt".
  public var family: String
  public var kind: ModelKind
  public var vocabularySize: Int
  /// Longest text the position table allows.
  public var maximumPositions: Int
  public var nodes: [ModelNode]
  /// Every weight an operation names, once, sorted by name.
  public var weights: [WeightShape]

  public init(
    family: String, kind: ModelKind, vocabularySize: Int, maximumPositions: Int,
    nodes: [ModelNode], weights: [WeightShape]
  ) {
    self.family = family
    self.kind = kind
    self.vocabularySize = vocabularySize
    self.maximumPositions = maximumPositions
    self.nodes = nodes
    self.weights = weights
  }
}
