// Adds up the pieces of piecewise linear functions from shares of comparisons.

import Program

/// One party's shares of each output: the last piece, and a step for every knot that x is below.
struct PieceSums {
  private(set) var results: [[UInt64]]
  private let value: MaskedWords
  /// By output and knot.
  private let slopes: [[UInt64]]
  private let intercepts: [[UInt64]]
  private let constantFactor: UInt64

  init(function: PiecewiseLinear, value: MaskedWords, constantFactor: UInt64) {
    self.value = value
    self.constantFactor = constantFactor
    let steps = function.outputs.indices.map(function.steps)
    slopes = steps.map { $0.map(\.slope) }
    intercepts = steps.map { $0.map(\.intercept) }
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
        slopes[output][knot] &* product &+ intercepts[output][knot] &* bit
    }
  }

  /// Writes the steps at all knots of some elements, times their bits, to `sums`: [elements, outputs].
  ///
  /// The bits are b = m + (1 - 2 m) c, m the bit above the lowest `levels` of `windows` [elements,
  /// knots]. `correlated` has h and h times the mask parts, and `shares` c - h and that times them:
  /// [elements, knots, payload]. Sums over the knots come before products with what all knots share.
  func stepSums(
    of elements: Range<Int>, windows: Span<UInt64>, levels: Int, shares: Span<UInt64>,
    correlated: [[UInt64]], into sums: inout MutableSpan<UInt64>
  ) {
    let payload = value.parts.count + 1
    let knotCount = slopes[0].count
    let top = UInt64(levels)
    for output in slopes.indices {
      let (slopes, intercepts) = (slopes[output], intercepts[output])
      let slopeTotal = slopes.reduce(0, &+)
      let interceptTotal = intercepts.reduce(0, &+)
      for (position, element) in elements.enumerated() {
        let first = position * knotCount
        // With m, and with (1 - 2 m) (c - h) and that times mask part 0 and 1.
        var (slopeFlips, interceptFlips) = (0 as UInt64, 0 as UInt64)
        var (slopeBits, interceptBits) = (0 as UInt64, 0 as UInt64)
        var (firstParts, secondParts) = (0 as UInt64, 0 as UInt64)
        for knot in 0..<knotCount {
          let flip = 0 &- (windows[first + knot] &>> top)
          let place = (first + knot) * payload
          let slope = (slopes[knot] ^ flip) &- flip
          slopeFlips &+= slopes[knot] & flip
          interceptFlips &+= intercepts[knot] & flip
          interceptBits &+= ((intercepts[knot] ^ flip) &- flip) &* shares[place]
          slopeBits &+= slope &* shares[place]
          firstParts &+= slope &* shares[place + 1]
          if payload > 2 { secondParts &+= slope &* shares[place + 2] }
        }
        let slopeSigns = slopeTotal &- 2 &* slopeFlips
        func share(_ part: Int, _ sum: UInt64) -> UInt64 {
          let one = part == 0 ? constantFactor : value.parts[part - 1][element]
          return slopeFlips &* one &+ slopeSigns &* correlated[part][element] &+ sum
        }
        var sum =
          interceptFlips &* constantFactor &+ interceptBits
          &+ (interceptTotal &- 2 &* interceptFlips) &* correlated[0][element]
          &+ value.base[element] &* share(0, slopeBits)
          &+ value.coefficient(0, element) &* share(1, firstParts)
        if payload > 2 { sum &+= value.coefficient(1, element) &* share(2, secondParts) }
        sums[position * self.slopes.count + output] = sum
      }
    }
  }

  /// Adds step sums of all elements: [elements, outputs].
  mutating func add(_ stepSums: [UInt64]) {
    let count = results.count
    for output in results.indices {
      for element in results[output].indices {
        results[output][element] &+= stepSums[element * count + output]
      }
    }
  }
}
