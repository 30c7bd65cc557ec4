// Adds up the pieces of piecewise linear functions from shares of comparisons.

import Program

/// One party's shares of each output: the last piece, and a step for every knot that x is below.
struct PieceSums {
  private(set) var results: [[UInt64]]
  private let value: MaskedWords
  private let steps: [[(slope: UInt64, intercept: UInt64)]]
  private let constantFactor: UInt64

  init(function: PiecewiseLinear, value: MaskedWords, constantFactor: UInt64) {
    self.value = value
    self.constantFactor = constantFactor
    steps = function.outputs.indices.map(function.steps)
    let rest = value.rest
    results = function.outputs.indices.map { output in
      let last = function.lastPiece(output)
      return rest.indices.map { index in
        last.slope &* (constantFactor &* value.base[index] &+ rest[index])
          &+ constantFactor &* last.intercept
      }
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
    for part in value.parts.indices {
      let masked = flip &* value.parts[part][element] &+ sign &* parts(part + 1)
      product &+= value.coefficient(part, element) &* masked
    }
    for output in results.indices {
      results[output][element] &+=
        steps[output][knot].slope &* product &+ steps[output][knot].intercept &* bit
    }
  }
}
