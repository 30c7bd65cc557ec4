// A model lowered to primitive secure operations: what dealer, parties, simulator and cost share.

public import Models

/// Whether a value is shared, opened under a mask, or a shifted view of an opened value.
public enum ValueForm: Hashable, Sendable {
  case shared
  case opened
  case view(shift: Int)
  /// Bits in clear that decide which blocks of what rows run.
  case revealed(BlockPool)
}

/// A value of the program: its shape, form, and fixed-point scale.
public struct ProgramValue: Hashable, Sendable {
  public var shape: ValueShape
  public var form: ValueForm
  /// The real value is the ring element (two's complement) divided by 2^fractionalBits.
  public var fractionalBits: Int
  /// The value is known modulo 2^ringBits; higher bits of its words mean nothing.
  public var ringBits: Int

  public init(shape: ValueShape, form: ValueForm, fractionalBits: Int, ringBits: Int = 64) {
    self.shape = shape
    self.form = form
    self.fractionalBits = fractionalBits
    self.ringBits = ringBits
  }
}

/// How a static secret weight is computed from the model's tensors.
///
/// weight = factor * (tensor * columnScale - mean of each row or column + matrix vector + first row
/// of addedRow), each part where present: `columnScale` multiplies columns, `matrix vector` is a
/// matrix-vector product. With a `runCount` above 1, `columnScale`, `vector`, and a `tensor` that
/// is the only part are those of one run, and repeated so many times.
public struct WeightFormula: Equatable, Sendable {
  public var tensor: String?
  public var columnScale: String?
  /// Whether the mean of each row of tensor * columnScale is subtracted from it: a linear layer of
  /// x is then one of x less the mean of x.
  public var isCentred: Bool
  /// Whether the mean of each column of `tensor` is subtracted from it: what a linear layer gives is
  /// then less the mean of its row.
  public var isColumnCentred: Bool
  public var matrix: String?
  public var vector: String?
  public var addedRow: String?
  public var runCount: Int
  public var factor: Double
  /// Whose blocks the rows, or the columns, of the whole are; the owner puts these into a secret order.
  public var rowBlocks: BlockOrder?
  public var columnBlocks: BlockOrder?

  public init(
    tensor: String? = nil, columnScale: String? = nil, isCentred: Bool = false,
    isColumnCentred: Bool = false, matrix: String? = nil, vector: String? = nil,
    addedRow: String? = nil, runCount: Int = 1,
    factor: Double = 1
  ) {
    self.tensor = tensor
    self.columnScale = columnScale
    self.isCentred = isCentred
    self.isColumnCentred = isColumnCentred
    self.matrix = matrix
    self.vector = vector
    self.addedRow = addedRow
    self.runCount = runCount
    self.factor = factor
  }
}

/// Equal blocks of rows or columns in an order that the owner draws for each conversion.
public struct BlockOrder: Hashable, Sendable {
  /// Name of the gates; all weights of one have the same order.
  public var gates: String
  public var count: Int

  public init(gates: String, count: Int) {
    self.gates = gates
    self.count = count
  }
}

/// A static secret weight of the program, row-major [rowCount, columnCount] ring elements.
public struct ProgramWeight: Equatable, Sendable {
  public var name: String
  public var rowCount: Int
  public var columnCount: Int
  public var fractionalBits: Int
  /// A matrix stored as [inputs, outputs] (an embedding table) instead of [outputs, inputs].
  public var isTransposed: Bool
  public var source: WeightFormula

  public init(
    name: String, rowCount: Int, columnCount: Int, fractionalBits: Int, isTransposed: Bool = false,
    source: WeightFormula
  ) {
    self.name = name
    self.rowCount = rowCount
    self.columnCount = columnCount
    self.fractionalBits = fractionalBits
    self.isTransposed = isTransposed
    self.source = source
  }

  public var elementCount: Int { rowCount * columnCount }
  /// Columns of x W^T.
  public var outputCount: Int { isTransposed ? columnCount : rowCount }
  /// Columns of x in x W^T.
  public var inputCount: Int { isTransposed ? rowCount : columnCount }
}

/// What the client feeds to the program.
public enum ClientInput: String, Sendable, CaseIterable {
  /// One row of zeros with a one at the token, 0 fractional bits; the embedding table is secret.
  case oneHot
  /// Rows of the embedding table, which the client holds.
  case embedding
}

/// An ordered list of primitive operations on shares modulo 2^64.
public struct SecureProgram: Equatable, Sendable {
  /// `model_type` of the checkpoint, for people.
  public var family: String
  public var kind: ModelKind
  public var clientInput: ClientInput
  public var vocabularySize: Int
  public var maximumPositions: Int
  public var output: OutputDescription
  public var values: [ProgramValue]
  public var weights: [ProgramWeight]
  public var nodes: [ProgramNode]

  public init(
    family: String, kind: ModelKind, clientInput: ClientInput, vocabularySize: Int,
    maximumPositions: Int, output: OutputDescription? = nil, values: [ProgramValue] = [],
    weights: [ProgramWeight] = [], nodes: [ProgramNode] = []
  ) {
    self.family = family
    self.kind = kind
    self.clientInput = clientInput
    self.vocabularySize = vocabularySize
    self.maximumPositions = maximumPositions
    self.output = output ?? OutputDescription(meaning: kind.plainOutput)
    self.values = values
    self.weights = weights
    self.nodes = nodes
  }
}

extension SecureProgram {
  /// The value that the client receives.
  public var outputValue: ProgramValue? {
    for node in nodes.reversed() {
      if case .output(let value, _) = node.operation { return values[value] }
    }
    return nil
  }

  /// The bits in which it is revealed, of two's complement numbers.
  public var outputBits: Int {
    for node in nodes.reversed() { if case .output(_, let bits) = node.operation { return bits } }
    return 64
  }

  /// The value that the client shares.
  public var inputValue: ProgramValue? {
    for node in nodes { if case .input = node.operation { return values[node.outputs.lowerBound] } }
    return nil
  }

  /// Weights of `linear` and `scale`, whose products with masks the dealer computes.
  public var multipliedWeights: [WeightID] {
    var used = Set<WeightID>()
    for node in nodes {
      switch node.operation {
      case .linear(_, let weight), .scale(_, let weight), .blockLinear(_, _, let weight):
        used.insert(weight)
      default: break
      }
    }
    return used.sorted()
  }

  /// Round after which each value is known: 0 for the input, then 1 more with every `open`, and
  /// with every exchange of a comparison by bits.
  ///
  /// All that is opened in one round travels in one message each way.
  public func rounds() -> [Int] {
    var rounds = [Int](repeating: 0, count: values.count)
    for node in nodes {
      let round =
        node.operation.inputs.reduce(0) { max($0, rounds[$1]) } + node.operation.roundCount
      for output in node.outputs { rounds[output] = round }
    }
    return rounds
  }
}

extension SecureProgram {
  /// The node that writes `value`; nodes write the values in order.
  func nodeIndex(writing value: ValueID) -> Int {
    var (low, high) = (0, nodes.count - 1)
    while low < high {
      let middle = (low + high + 1) / 2
      if nodes[middle].outputs.lowerBound <= value { low = middle } else { high = middle - 1 }
    }
    return low
  }

  /// The opened value that a view is of; other values as they are.
  public func openedValue(_ value: ValueID) -> ValueID {
    if case .view(let x, _) = nodes[nodeIndex(writing: value)].operation { return x }
    return value
  }

  /// The node under whose mask an opened value or a view stands: the one that opened it, or what it was
  /// widened from. Nil for other values.
  public func maskOpener(of value: ValueID) -> Int? {
    var value = value
    while true {
      let index = nodeIndex(writing: value)
      switch nodes[index].operation {
      case .open, .openBlocks: return index
      case .widen(let x, _) where x < value, .view(let x, _) where x < value: value = x
      default: return nil
      }
    }
  }

  /// The same of all opened values.
  public var maskOpeners: [ValueID: Int] {
    var openers: [ValueID: Int] = [:]
    for (index, node) in nodes.enumerated() {
      switch node.operation {
      case .open, .openBlocks: openers[node.outputs.lowerBound] = index
      case .widen(let x, _): openers[node.outputs.lowerBound] = openers[openedValue(x)]
      default: break
      }
    }
    return openers
  }

  /// Whether more bits can be opened of an opened value or a view: masks of blocks are for one opening.
  func isWidenable(_ value: ValueID) -> Bool {
    if case .view(let shift) = values[value].form, shift > 0 { return false }
    guard let opener = maskOpener(of: value), case .open = nodes[opener].operation else {
      return false
    }
    return true
  }

  /// The bits of each element that a party sends where node `index` opens a value of all columns; nil for
  /// other operations.
  public func sentOpening(_ index: Int) -> Opening? {
    switch nodes[index].operation {
    case .open(_, let opening): opening
    case .widen(let x, let bits):
      Opening(shift: 0, bits: bits - values[openedValue(x)].ringBits)
    default: nil
    }
  }

  /// Opened keys and values of attention, which a decoder keeps for later rows.
  public var cachedValues: Set<ValueID> {
    var cached = Set<ValueID>()
    for node in nodes {
      switch node.operation {
      case .scores(_, let key, _, _, _): cached.insert(key)
      case .mix(_, let value, _, _): cached.insert(value)
      default: break
      }
    }
    return cached
  }

  /// Whether rows may be taken back once they were computed, as drafts are.
  ///
  /// Not where attention has a window: by slots it would reach less far than by positions; nor where
  /// heads are skipped, whose weights have no columns for slots that were taken back.
  public var allowsRejection: Bool {
    kind.isDecoder
      && nodes.allSatisfy { node in
        switch node.operation {
        case .scores(_, _, _, _, let window): window == nil
        case .openBlocks(let x, _):
          if case .blockKeys = values[x].shape.columns { false } else { true }
        case .permuted(let x, _):
          switch values[x].shape.columns {
          // Permuted together with those that are dealt for other slots.
          case .keys, .pairs: false
          case .fixed, .sessionKeys, .blocks, .blockKeys: true
          }
        default: true
        }
      }
  }
}
