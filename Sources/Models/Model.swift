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
  /// x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))): the GELU of GPT-2.
  case geluTanh
  /// x / (1 + exp(-x)).
  case silu
}

/// Which elements of a head a rotary operation turns together, d of them being turned.
public enum RotaryLayout: String, Sendable, CaseIterable {
  /// Element i with element i + d/2.
  case halves
  /// Element 2i with element 2i + 1.
  case pairs
  /// The halves of the elements by the two positions of a `TextContext`, each half as `halves`.
  case twoPositions
}

/// Index of a value in `Model.operations`: operation i writes value i.
public typealias ModelValue = Int

/// One transformer-level operation; activations have shape [positions, width].
public enum ModelOperation: Equatable, Sendable {
  /// token table row, + position table row (position + offset) and + `segments` row 0 where
  /// present.
  case embed(tokens: String, positions: String?, positionOffset: Int, segments: String?)
  /// gamma * (x - mean) / sqrt(variance + epsilon) + beta, over the width.
  case layerNorm(ModelValue, gamma: String, beta: String, epsilon: Double)
  /// gamma * x / sqrt(mean(x^2) + epsilon), over the width.
  case rmsNorm(ModelValue, gamma: String, epsilon: Double)
  /// x W^T + b; the weight is row-major [outputs, inputs].
  case linear(ModelValue, weight: String, bias: String?)
  /// Turns the first `dimensions` elements of each head: pair i of position t, (a, b), becomes
  /// (a cos w - b sin w, b cos w + a sin w) with w = t * base^(-2i / dimensions); half as many
  /// dimensions for each of two positions.
  case rotary(
    ModelValue, headCount: Int, base: Double, dimensions: Int, layout: RotaryLayout)
  /// softmax(scale * q k^T) v for each head; causal for decoders.
  ///
  /// Query and output have `headCount` heads, key and value `keyHeadCount` as wide ones: query head
  /// h reads key head h / (headCount / keyHeadCount).
  case attention(
    query: ModelValue, key: ModelValue, value: ModelValue, headCount: Int, keyHeadCount: Int,
    scale: Double)
  case activation(ModelValue, Activation)
  case add(ModelValue, ModelValue)
  /// Element by element.
  case multiply(ModelValue, ModelValue)
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
  /// Longest text the position table or the configuration allows.
  public var maximumPositions: Int
  public var nodes: [ModelNode]
  /// Every weight an operation names, once, sorted by name.
  public var weights: [WeightShape]
  /// How a prefix decoder finds the context whose positions see each other; nil for all others.
  public var contextMarkers: ContextMarkers?

  public init(
    family: String, kind: ModelKind, vocabularySize: Int, maximumPositions: Int,
    nodes: [ModelNode], weights: [WeightShape], contextMarkers: ContextMarkers? = nil
  ) {
    self.family = family
    self.kind = kind
    self.vocabularySize = vocabularySize
    self.maximumPositions = maximumPositions
    self.nodes = nodes
    self.weights = weights
    self.contextMarkers = contextMarkers
  }
}
