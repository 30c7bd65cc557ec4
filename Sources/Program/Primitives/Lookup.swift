// A polynomial for every cell of an opened value, from one point key an element.

public import Rings

/// The polynomial of x's cell at an opened value x of k bits, in 2^(k - g) cells of 2^g.
///
/// With the mask r = alpha 2^g + r_0 and X = x + r modulo 2^k = c 2^g + X_0, both below 2^g, x is
/// i 2^g + d modulo 2^k for i = c - alpha modulo 2^(k - g) and d = X_0 - r_0: i is x's cell, or the one
/// after it where d < 0. The result is the sum of coefficients[p][i] d^p modulo 2^resultBits. Dealt is
/// a point key for alpha and the powers of r_0; everything else is public.
public struct Lookup: Hashable, Sendable {
  public var cells: MaskCells
  /// Number p has the coefficient of d^p for every cell, those of negative x after the others.
  public var coefficients: [[Int]]
  public var fractionalBits: Int
  public var resultBits: Int

  public init(
    cells: MaskCells, coefficients: [[Int]], fractionalBits: Int, resultBits: Int
  ) {
    self.cells = cells
    self.coefficients = coefficients
    self.fractionalBits = fractionalBits
    self.resultBits = resultBits
  }

  /// Values that are told apart: others come out as those 2^k from them.
  public var range: ClosedRange<Int> {
    let half = 1 << (cells.openedBits - 1)
    let cell = 1 << cells.bits
    return cell - half...half - cell - 1
  }

  public var keyLayout: PointKeyLayout {
    PointKeyLayout(
      bits: cells.openedBits - cells.bits, payload: coefficients.count,
      wordByteCount: (resultBits + 7) / 8)
  }

  /// The cell and the place in it of an opened word or of a mask.
  @inlinable
  public func place(_ word: UInt64) -> (cell: UInt64, offset: UInt64) {
    let word = cells.reduced(word)
    return (word &>> UInt64(cells.bits), word & (1 &<< UInt64(cells.bits) &- 1))
  }

  /// beta of a mask's key: the powers of r_0.
  public func payload(offset: UInt64) -> [UInt64] {
    var power: UInt64 = 1
    return coefficients.map { _ in
      defer { power &*= offset }
      return power
    }
  }

  /// Word q of the payload times d's coefficients number p, for p and q <= p in this order.
  public var tables: PointTables {
    PointTables(
      coefficients.enumerated().flatMap { power, values in
        let values = values.map { UInt64(bitPattern: Int64($0)) }
        return (0...power).map { (word: $0, values: values) }
      }, layout: keyLayout)
  }

  public var tableCount: Int { coefficients.count * (coefficients.count + 1) / 2 }

  /// The share of the result from those of the sums over `tables`: the binomial formula of
  /// (X_0 - r_0)^p.
  public func result(_ sums: some Collection<UInt64>, offset: UInt64) -> UInt64 {
    var result: UInt64 = 0
    var next = sums.startIndex
    for power in coefficients.indices {
      var binomial: UInt64 = 1
      for part in 0...power {
        var factor = binomial
        for _ in part..<power { factor &*= offset }
        result = part % 2 == 0 ? result &+ factor &* sums[next] : result &- factor &* sums[next]
        binomial = binomial * UInt64(power - part) / UInt64(part + 1)
        next = sums.index(after: next)
      }
    }
    return result
  }

  /// The result for an opened word under a mask, modulo 2^64.
  public func value(opened: UInt64, mask: UInt64) -> UInt64 {
    let (opened, mask) = (place(opened), place(mask))
    let cell = Int((opened.cell &- mask.cell) & UInt64(cells.count - 1))
    let distance = opened.offset &- mask.offset
    return coefficients.reversed().reduce(0) { sum, values in
      sum &* distance &+ UInt64(bitPattern: Int64(values[cell]))
    }
  }
}

/// The key that is dealt for every element that an operation reads.
public enum DealtKey: Hashable, Sendable {
  case comparison(ComparisonKeyLayout)
  case point(PointKeyLayout)

  public var byteCount: Int {
    switch self {
    case .comparison(let layout): layout.byteCount
    case .point(let layout): layout.byteCount
    }
  }
}

extension Operation {
  /// The value for each of whose elements a key is dealt, and what key.
  public var dealtKey: (value: ValueID, key: DealtKey)? {
    switch self {
    case .piecewiseLinear(let x, let function):
      function.comparison == .keys ? (x, .comparison(function.keyLayout)) : nil
    case .lookup(let x, let function): (x, .point(function.keyLayout))
    case .exponential(let x, let function): (x, .point(function.keyLayout))
    case .input, .open, .openBlocks, .reveal, .view, .truncate, .linear, .blockLinear,
      .selectBlocks, .spreadBlocks, .scale, .scores, .mix, .multiply, .polynomial,
      .coarseSteps, .permuted, .combine, .addWeight, .addDistance, .rotate, .sum,
      .pairDifference, .pairMerge, .padKeys, .padRows, .lastRow, .firstRow, .meanRow, .output:
      nil
    }
  }
}
