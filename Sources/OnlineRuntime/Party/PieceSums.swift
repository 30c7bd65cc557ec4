// Adds up the pieces of piecewise linear functions from shares of comparisons.

import Program
import Rings

/// The pieces of a piecewise linear function as ring elements.
struct PieceTables {
  let steps: PieceSteps
  /// By output.
  let last: [(slope: UInt64, intercept: UInt64)]
  let knots: [UInt64]
  /// Whether all slopes are 0, and nothing is dealt for them.
  let areConstant: Bool

  init(_ function: PiecewiseLinear) {
    let steps = function.outputs.indices.map(function.steps)
    self.steps = PieceSteps(
      slopes: steps.map { $0.map(\.slope) }, intercepts: steps.map { $0.map(\.intercept) })
    last = function.outputs.indices.map(function.lastPiece)
    knots = function.knots.map { UInt64(bitPattern: Int64($0)) }
    areConstant = function.hasConstantPieces
  }
}

extension PieceTables {
  /// Writes shares of the steps of constant pieces at all knots: [elements, outputs].
  ///
  /// A bit is m + (1 - 2 m) c, m the top bit of its window, with `shares` of c - h and `correlated[0]` those
  /// of h; with noise `correlated[1]` is this party's share of the m that count.
  func bitSums(
    of elements: Range<Int>, windows: [UInt64], levels: Int, shares: [UInt64],
    correlated: [[UInt64]], factor: UInt64, into sums: inout MutableSpan<UInt64>
  ) {
    let outputCount = last.count
    for (number, element) in elements.enumerated() {
      for knot in knots.indices {
        let place = number * knots.count + knot
        let flip = windows[place] &>> UInt64(levels)
        let counted = correlated.count > 1 ? correlated[1][element] : factor
        let bit =
          flip &* counted &+ (1 &- 2 &* flip) &* (correlated[0][element] &+ shares[place])
        for output in 0..<outputCount {
          sums[number * outputCount + output] &+=
            steps.intercepts[output * knots.count + knot] &* bit
        }
      }
    }
  }
}

/// One party's shares of each output: the last piece, and a step for every knot that x is below.
struct PieceSums {
  private(set) var results: [[UInt64]]
  let value: MaskedWords
  private let tables: PieceTables
  private let constantFactor: UInt64

  init(tables: PieceTables, value: MaskedWords, constantFactor: UInt64) {
    self.value = value
    self.tables = tables
    self.constantFactor = constantFactor
    let share = value.share(factor: constantFactor)
    results = tables.last.map { last in
      WordArrays.best.scaled(share, by: last.slope, plus: constantFactor &* last.intercept)
    }
  }

  /// Adds the step at `knot` times the bit b = flip + (1 - 2 flip) c, with `flip` public and
  /// `parts(j)` the share of c times 1 (j = 0) and of c times mask part j - 1.
  @inline(__always)
  mutating func add(element: Int, knot: Int, flip: UInt64, parts: (Int) -> UInt64) {
    let sign = 1 &- 2 &* flip
    let bit = flip &* constantFactor &+ sign &* parts(0)
    // Share of bit * y = bit * base + sum over parts of coefficient * (bit * part).
    var product = value.base[element] &* bit
    for part in value.parts.indices where !tables.areConstant {
      let masked = flip &* value.parts[part][element] &+ sign &* parts(part + 1)
      product &+= value.coefficient(part, element) &* masked
    }
    let steps = tables.steps
    for output in results.indices {
      let step = output * steps.knotCount + knot
      results[output][element] &+=
        steps.slopes[step] &* product &+ steps.intercepts[step] &* bit
    }
  }

  /// Adds step sums of all elements: [elements, outputs].
  mutating func add(_ stepSums: [UInt64]) {
    let count = results.count
    if count == 1 {
      WordArrays.best.add(stepSums, to: &results[0])
      return
    }
    for output in results.indices {
      for element in results[output].indices {
        results[output][element] &+= stepSums[element * count + output]
      }
    }
  }
}
