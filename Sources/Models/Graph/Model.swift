// The Model graph: a transformer as an ordered list of operations on named values.

/// Whether positions attend to earlier positions only, or to more of the text.
public enum ModelKind: String, Sendable, CaseIterable {
  /// Causal; the output is one row of logits a position.
  case decoder
  /// Causal, but that the positions of a context at the beginning all see each other (Du et al.
  /// 2022, section 2.1).
  case prefixDecoder
  /// Bidirectional; the output is the last hidden state of every position.
  case encoder

  /// Whether the model generates token after token.
  public var isDecoder: Bool { self != .encoder }

  /// The output of a model without a head of its own.
  public var plainOutput: ModelOutput { isDecoder ? .logits : .states }
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
  case tanh
}

/// Index of a value in `Model.operations`: operation i writes value i.
public typealias ModelValue = Int

/// One transformer-level operation; activations have shape [positions, width].
public enum ModelOperation: Equatable, Sendable {
  /// token table row, + position table row (position + offset) and + `segments` row 0 where
  /// present.
  case embed(tokens: String, positions: String?, positionOffset: Int, segments: String?)
  /// gamma * (x - mean) / sqrt(variance + epsilon) + beta, over each group of the width.
  case layerNorm(ModelValue, Normalisation)
  /// gamma * x / sqrt(mean(x^2) + epsilon) + beta, over each group of the width.
  case rmsNorm(ModelValue, Normalisation)
  /// x W^T + b; the weight is row-major [outputs, inputs].
  case linear(ModelValue, weight: String, bias: String?)
  /// Turns elements of each of `headCount` heads by angles that grow with the position.
  case rotary(ModelValue, headCount: Int, RotaryPositions)
  /// softmax(scores) v for each head; causal for decoders (see `AttentionSettings`).
  case attention(query: ModelValue, key: ModelValue, value: ModelValue, AttentionSettings)
  case activation(ModelValue, Activation)
  case add(ModelValue, ModelValue)
  /// Element by element.
  case multiply(ModelValue, ModelValue)
  /// Every element times a public constant.
  case scale(ModelValue, by: Double)
  /// cap * tanh(x / cap): increasing, and the reader of an output can undo it.
  case softCap(ModelValue, cap: Double)
  /// Bits that decide about blocks: 1 where the value is at least 0, else 0.
  case gates(ModelValue)
  /// A value in equal blocks, one for each bit, times the block's bit.
  case gated(ModelValue, by: ModelValue)
  /// One row of all positions of the text; what reads it has one row, too.
  case pool(ModelValue, RowPooling)
}

/// How the rows of a text become one.
public enum RowPooling: String, Sendable, CaseIterable {
  /// That of the first position.
  case first
  /// The mean of all positions.
  case mean
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

/// What the rows of a model's output are.
public enum ModelOutput: String, Sendable, CaseIterable {
  /// Scores of the next token, one row a position of a decoder.
  case logits
  /// Last hidden states, one row a position.
  case states
  /// Scores of the token that belongs at a position of an encoder, one row a position.
  case tokenLogits
  /// Scores of classes, one row a position.
  case tokenClasses
  /// Scores of classes, one row a text.
  case classes
  /// One row a text.
  case embedding

  /// All but those of a decoder.
  public static var ofEncoders: [ModelOutput] { allCases.filter { $0 != .logits } }

  /// Whether the largest element of a row is an answer: a token or a class.
  public var isScores: Bool { self != .states && self != .embedding }

  /// What the output is, in a few words.
  public var title: String {
    switch self {
    case .logits: "scores of the next token"
    case .states: "the last hidden state"
    case .tokenLogits: "scores of the token at each position"
    case .tokenClasses: "scores of classes at each position"
    case .classes: "scores of classes of the text"
    case .embedding: "one vector of the text"
    }
  }
}

/// A model as its operations in order; the last operation writes the output.
public struct Model: Equatable, Sendable {
  /// `model_type` of the checkpoint's configuration, such as "opt".
  public var family: String
  public var kind: ModelKind
  public var output: ModelOutput
  public var vocabularySize: Int
  /// Longest text the position table or the configuration allows.
  public var maximumPositions: Int
  public var nodes: [ModelNode]
  /// Every weight an operation names, once, sorted by name.
  public var weights: [WeightShape]
  /// How a prefix decoder finds the context of a text; nil for all other kinds.
  public var contextMarkers: ContextMarkers?
  /// The token that fills an encoder's texts up to one length, where it stands for nothing else.
  public var padToken: Int?

  public init(
    family: String, kind: ModelKind, output: ModelOutput? = nil, vocabularySize: Int,
    maximumPositions: Int, nodes: [ModelNode], weights: [WeightShape],
    contextMarkers: ContextMarkers? = nil, padToken: Int? = nil
  ) {
    self.family = family
    self.kind = kind
    self.output = output ?? kind.plainOutput
    self.vocabularySize = vocabularySize
    self.maximumPositions = maximumPositions
    self.nodes = nodes
    self.weights = weights
    self.contextMarkers = contextMarkers
    self.padToken = padToken
  }
}
