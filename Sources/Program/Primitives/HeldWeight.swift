// A party's share of a weight in memory.

public import Rings

/// A party's share of a weight: ring elements, or of a weight that is plain the integers themselves
/// where 16 bits hold them.
public enum HeldWeight: Sendable {
  case words([UInt64])
  case halves(HalfMatrix)

  /// `elements` of `weight` itself.
  public init(_ elements: [Int16], of weight: ProgramWeight) {
    self = .halves(HalfMatrix(elements, rows: weight.rowCount, columns: weight.columnCount))
  }

  /// Whether the share is zero.
  public var isEmpty: Bool {
    switch self {
    case .words(let words): words.isEmpty
    case .halves(let matrix): matrix.elements.isEmpty
    }
  }

  /// All elements in the ring, row-major.
  public var words: [UInt64] {
    switch self {
    case .words(let words): words
    case .halves(let matrix): matrix.words
    }
  }
}

extension ProgramWeight {
  /// x W^T modulo 2^64, row-major [rows, outputCount], for x of [rows, inputCount] elements.
  public func product(_ x: [UInt64], _ weight: HeldWeight) -> [UInt64] {
    switch weight {
    case .words(let words): product(x, words)
    case .halves(let matrix): isTransposed ? matrix.times(x) : matrix.timesTransposed(x)
    }
  }
}

extension SecureProgram {
  /// Weights that nothing but `linear` reads: those of which no other form is needed.
  public var linearWeights: Set<WeightID> {
    var linear = Set<WeightID>()
    var others = Set<WeightID>()
    for node in nodes {
      guard let id = node.operation.weight else { continue }
      if case .linear = node.operation { linear.insert(id) } else { others.insert(id) }
    }
    return linear.subtracting(others)
  }
}
