// The two ways to compare, what they cost, and the one rule that chooses between them.

import Rings

/// How a piecewise linear function compares its argument with its knots.
public enum ComparisonProtocol: String, CaseIterable, Sendable {
  /// One comparison key an element for all knots: hundreds of bytes in both files, no further
  /// round.
  case keys
  /// Dealt bits and products of bits (see `BitComparison`): tens of bytes, two to four rounds.
  case bits
}

extension PiecewiseLinear {
  /// The circuit of a comparison by bits.
  public var circuit: BitComparison { BitComparison(levels: levels) }

  /// Exchanges between the opening of the argument and the result.
  public var roundCount: Int {
    switch comparison {
    case .keys: 0
    case .bits: circuit.roundCount
    }
  }

  /// Words that each party sends in each of `roundCount` rounds for `count` elements: bits without
  /// gaps.
  public func openedWordCounts(elements count: Int) -> [Int] {
    guard case .bits = comparison else { return [] }
    let circuit = circuit
    return (0..<circuit.roundCount).map {
      (count * knots.count * circuit.openedBitCount(round: $0) + 63) / 64
    }
  }

  /// Bytes of an element in both files together that serve the comparison itself.
  func dealtByteCount(by comparison: ComparisonProtocol) -> Double {
    switch comparison {
    case .keys: Double(2 * keyLayout.byteCount + 8 * payload)
    case .bits:
      Double(circuit.planeCount(knots: knots.count)) / 8 + Double(8 * payload * knots.count)
    }
  }

  /// The same function by keys, or where bits are preferred by bits, if these take at most a
  /// quarter of the dealt bytes: bits grow with the number of knots, and a table's key has one
  /// round for all.
  public func comparing(preferring preferred: ComparisonProtocol) -> PiecewiseLinear {
    var result = self
    result.comparison = .keys
    if preferred == .bits, 4 * dealtByteCount(by: .bits) <= dealtByteCount(by: .keys) {
      result.comparison = .bits
    }
    return result
  }
}

extension SecureProgram {
  /// The same program with every comparison made as `preferred` where that pays.
  public func comparing(preferring preferred: ComparisonProtocol) -> SecureProgram {
    var result = self
    for index in nodes.indices {
      guard case .piecewiseLinear(let x, let function) = nodes[index].operation else { continue }
      result.nodes[index].operation = .piecewiseLinear(
        x, function.comparing(preferring: preferred))
    }
    return result
  }
}

extension Operation {
  /// Exchanges that the operation takes itself.
  public var roundCount: Int {
    switch self {
    case .open, .openBlocks, .reveal: 1
    case .piecewiseLinear(_, let function): function.roundCount
    case .permuted: PermutedFunction.roundCount
    case .input, .view, .truncate, .linear, .blockLinear, .selectBlocks, .spreadBlocks, .scale,
      .scores, .mix,
      .multiply, .polynomial,
      .exponential, .coarseSteps, .lookup, .combine, .addWeight, .addDistance, .rotate, .sum,
      .pairDifference, .pairMerge, .padKeys, .padRows,
      .lastRow, .firstRow, .meanRow, .output:
      0
    }
  }
}
