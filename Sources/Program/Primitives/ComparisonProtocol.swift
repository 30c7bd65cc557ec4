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
  public var circuit: BitComparison {
    BitComparison(levels: levels, opensResult: !givesBits, isNoisy: noise > 0)
  }

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
      Double(circuit.planeCount(knots: knots.count)) / 8
        + Double(8 * resultArrayCount * knots.count)
    }
  }

  /// By bits: arrays of the result's mask bit times each of the payload, where it has one.
  public var resultArrayCount: Int { circuit.opensResult ? payload : 0 }

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
  /// The same program with every comparison made as `preferred` where that pays, and that of gates by
  /// bits where it takes no flight.
  public func comparing(preferring preferred: ComparisonProtocol) -> SecureProgram {
    var result = self
    for index in nodes.indices {
      guard case .piecewiseLinear(let x, let function) = nodes[index].operation else { continue }
      result.nodes[index].operation = .piecewiseLinear(
        x, function.comparing(preferring: preferred))
    }
    return result.comparingGatesBeside()
  }

  /// The same program with gates compared by bits as long as no step takes more flights: they have the
  /// time that attention takes, and bits are dealt a small part of the bytes.
  func comparingGatesBeside() -> SecureProgram {
    var result = self
    func flightCount() -> Int { Timetable(result, deployment: .twoServer).flights.count }
    var limit: Int?
    for (index, node) in nodes.enumerated() {
      guard case .piecewiseLinear(let x, let function) = node.operation, function.givesBits,
        function.comparison == .keys
      else { continue }
      let count = limit ?? flightCount()
      limit = count
      result.nodes[index].operation = .piecewiseLinear(
        x, function.comparing(preferring: .bits))
      if flightCount() > count { result.nodes[index] = node }
    }
    return result
  }
}

extension Operation {
  /// Exchanges that the operation takes itself.
  public var roundCount: Int {
    switch self {
    case .open, .widen, .openBlocks, .reveal: 1
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
