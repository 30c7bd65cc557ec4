// A polynomial for every cell of an opened value, from one point key an element.

public import Rings

/// The polynomial of x's cell at an opened value x of k bits, in 2^(k - g) cells of 2^g, and lines
/// beyond some of them.
///
/// With the mask r = alpha 2^g + r_0 and X = x + r modulo 2^k = c 2^g + X_0, both below 2^g, x is
/// i 2^g + d modulo 2^k for i = c - alpha modulo 2^(k - g) and d = X_0 - r_0: i is x's cell, or the
/// one after it where d < 0. The result is the sum of coefficients[p][i - firstCell] d^p modulo
/// 2^resultBits where these are given, `left` before them and `right` behind them. Dealt is a point
/// key for alpha, the powers of r_0, and 1 and r for lines; everything else is public.
///
/// With a `factor` y, a view, the result is that times y: the key has all of these numbers three
/// times, as they are and times both mask parts t and h of y = A - t + B h, of which f(x) y is made with
/// the public A and B.
public struct Lookup: Hashable, Sendable {
  /// intercept + slope x, x in units of what is opened and the result in its own.
  public struct Line: Hashable, Sendable {
    public var intercept: Int
    public var slope: Int

    public static let zero = Line(intercept: 0, slope: 0)

    public init(intercept: Int, slope: Int) {
      self.intercept = intercept
      self.slope = slope
    }

    /// The coefficients of d^p about `start`.
    fileprivate func coefficients(at start: Int) -> [UInt64] {
      let (intercept, slope) = (
        UInt64(bitPattern: Int64(intercept)), UInt64(bitPattern: Int64(slope))
      )
      return [intercept &+ slope &* UInt64(bitPattern: Int64(start)), slope, 0]
    }
  }

  public var cells: MaskCells
  /// The signed number of the first cell that has coefficients.
  public var firstCell: Int
  /// Number p has the coefficient of d^p for every one of them.
  public var coefficients: [[Int]]
  /// Before the first of them, and from the end on.
  public var left: Line
  public var right: Line
  /// Those of f(x); a factor's come on top.
  public var fractionalBits: Int
  public var resultBits: Int
  /// A view of the same shape.
  public var factor: ValueID?

  public init(
    cells: MaskCells, firstCell: Int, coefficients: [[Int]], left: Line, right: Line,
    fractionalBits: Int, resultBits: Int, factor: ValueID? = nil
  ) {
    self.cells = cells
    self.firstCell = firstCell
    self.coefficients = coefficients
    self.left = left
    self.right = right
    self.fractionalBits = fractionalBits
    self.resultBits = resultBits
    self.factor = factor
  }

  private var cellNumberBits: Int { cells.openedBits - cells.bits }

  public var keyLayout: PointKeyLayout {
    PointKeyLayout(
      bits: cellNumberBits, payload: setCount * coefficients.count,
      wordByteCount: (resultBits + 7) / 8, middleLevels: window.levels, lineCount: setCount)
  }

  /// How often a key has what gives f(x): for itself, and times both mask parts of a factor.
  private var setCount: Int { factor == nil ? 1 : 3 }

  /// The cells that are taken one by one.
  public var window: PointWindow {
    PointWindow(firstCell..<firstCell + coefficients[0].count, bits: cellNumberBits)
  }

  /// Cells at which a party evaluates a key, with what groups take beside them: two calls of AES
  /// each, one of which is for outputs, that a factor takes three times.
  public var visitedCellCount: Int { window.blockCount * (1 + setCount) / 4 }

  /// Values that are told apart: others come out as those 2^k from them.
  public var range: ClosedRange<Int> {
    let half = 1 << (cells.openedBits - 1)
    let cell = 1 << cells.bits
    return (window.firstLeft.map { $0 * cell } ?? cell - half)...half - cell - 1
  }

  /// The cell and the place in it of an opened word or of a mask.
  @inlinable
  public func place(_ word: UInt64) -> (cell: UInt64, offset: UInt64) {
    let word = cells.reduced(word)
    return (word &>> UInt64(cells.bits), word & (1 &<< UInt64(cells.bits) &- 1))
  }

  /// beta and gamma of a mask's key of `layout`: the powers of r_0, and where there is gamma 1 and
  /// r; each of both once more times both `parts` of a factor's mask, where there is one.
  public func payload(mask: UInt64, parts: (t: UInt64, h: UInt64)?, layout: PointKeyLayout)
    -> [UInt64]
  {
    let offset = place(mask).offset
    var result: [UInt64] = []
    result.reserveCapacity(layout.payload + layout.gammaCount)
    var power: UInt64 = 1
    for _ in coefficients {
      result.append(power)
      power &*= offset
    }
    let powers = result
    if let parts {
      for power in powers { result.append(power &* parts.t) }
      for power in powers { result.append(power &* parts.h) }
    }
    if layout.gammaCount > 0 {
      let word = cells.reduced(mask)
      result += [1, word]
      if let parts { result += [parts.t, word &* parts.t, parts.h, word &* parts.h] }
    }
    return result
  }

  /// The coefficients about the start of every cell, those of negative cells after the others.
  private var allCoefficients: [[UInt64]] {
    let count = cells.count
    var result = coefficients.map { _ in [UInt64](repeating: 0, count: count) }
    let end = firstCell + coefficients[0].count
    for number in -count / 2..<count - count / 2 {
      let line = number < firstCell ? left : right
      let ofLine = line.coefficients(at: number << cells.bits)
      for power in coefficients.indices {
        result[power][number & (count - 1)] =
          (firstCell..<end).contains(number)
          ? UInt64(bitPattern: Int64(coefficients[power][number - firstCell])) : ofLine[power]
      }
    }
    return result
  }

  /// Word q of the payload times d's coefficients number p, for p and q <= p in this order, and the
  /// same of the words that a factor adds.
  public var tables: PointTables {
    let all = allCoefficients
    return PointTables(
      (0..<setCount).flatMap { set in
        all.enumerated().flatMap { power, values in
          (0...power).map { (word: set * coefficients.count + $0, values: values) }
        }
      }, layout: keyLayout, window: window, cellBits: cells.bits, countsLeft: left != .zero,
      countsRight: right != .zero)
  }

  /// The shares of the results at opened words from those of the sums over `tables`, which lie one
  /// after the other: the binomial formula of (X_0 - r_0)^p, and both lines; times a factor's view, of
  /// which A is `base` and B is `lift`.
  public func results(
    sums: [UInt64], opened: [UInt64], base: [UInt64] = [], lift: [UInt64] = []
  ) -> [UInt64] {
    let (powerCount, setCount) = (coefficients.count, setCount)
    let tableCount = powerCount * (powerCount + 1) / 2
    let lines = (keyLayout.gammaCount == 0 ? [] : [left, right]).map {
      (
        slope: UInt64(bitPattern: Int64($0.slope)),
        intercept: UInt64(bitPattern: Int64($0.intercept))
      )
    }
    let stride = setCount * (tableCount + 2 * lines.count)
    precondition(sums.count == opened.count * stride, "sums of every element")
    let factorCount = factor == nil ? 0 : opened.count
    precondition(base.count == factorCount && lift.count == factorCount, "a factor an element")
    var results = [UInt64](repeating: 0, count: opened.count)
    for element in opened.indices {
      let offset = place(opened[element]).offset
      for set in 0..<setCount {
        var next = element * stride + set * tableCount
        var result: UInt64 = 0
        for power in 0..<powerCount {
          // Of C(power, part) (-1)^part X_0^(power - part) those from the last on, by Horner.
          var (value, binomial): (UInt64, UInt64) = (0, 1)
          for part in 0...power {
            let term = binomial &* sums[next + part]
            value = value &* offset &+ (part % 2 == 0 ? term : 0 &- term)
            binomial = binomial &* UInt64(power - part) / UInt64(part + 1)
          }
          result &+= value
          next += power + 1
        }
        next = element * stride + setCount * tableCount + set * 2 * lines.count
        for line in lines {
          result &+= line.slope &* sums[next] &+ line.intercept &* sums[next + 1]
          next += 2
        }
        switch set {
        case 0: results[element] = factorCount == 0 ? result : result &* base[element]
        case 1: results[element] &-= result
        default: results[element] &+= result &* lift[element]
        }
      }
    }
    return results
  }

  /// The results for opened words under their masks, modulo 2^64.
  public func values(opened: [UInt64], masks: [UInt64]) -> [UInt64] {
    let window = window
    func value(_ coefficients: some Collection<UInt64>, _ distance: UInt64) -> UInt64 {
      coefficients.reversed().reduce(0) { $0 &* distance &+ $1 }
    }
    func value(_ line: Line, _ number: Int, _ distance: UInt64) -> UInt64 {
      value(line.coefficients(at: number << cells.bits), distance)
    }
    return zip(opened, masks).map { opened, mask in
      let (opened, mask) = (place(opened), place(mask))
      let distance = opened.offset &- mask.offset
      switch window.place(of: Int(mask.cell), cell: Int(opened.cell)) {
      case .left(let number): return value(left, number, distance)
      case .right(let number): return value(right, number, distance)
      case .inside(let number):
        let index = number - firstCell
        guard index >= 0 else { return value(left, number, distance) }
        guard index < coefficients[0].count else { return value(right, number, distance) }
        return value(coefficients.map { UInt64(bitPattern: Int64($0[index])) }, distance)
      }
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
    case .input, .open, .widen, .openBlocks, .reveal, .view, .truncate, .linear, .blockLinear,
      .selectBlocks, .spreadBlocks, .scale, .scores, .mix, .multiply, .polynomial,
      .coarseSteps, .permuted, .combine, .addWeight, .addDistance, .rotate, .sum,
      .pairDifference, .pairMerge, .padKeys, .padRows, .lastRow, .firstRow, .meanRow, .output:
      nil
    }
  }
}
