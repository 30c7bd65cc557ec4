// Piecewise linear functions by one comparison key per element, on one party's shares.

import Bytes
import Program
import Rings
import Sharing

extension PartyInterpreter {
  /// Elements evaluated at a time, so that the key outputs stay in the cache.
  private static var chunkPointCount: Int { 1 << 14 }

  /// Shares of each output of `function` at the opened value.
  ///
  /// With e = h xor [low(X - knot) < low(r)] the bit [x < knot] is m + (1 - 2 m) e, m the top bit
  /// of the window of X - knot. The key gives e - h and, times the mask parts of y, (e - h) * part;
  /// the correlated components add h and h * part.
  func piecewise(
    _ node: Int, _ function: PiecewiseLinear, _ opened: MaskedWords, _ ranges: [Range<Int>],
    components: [[UInt64]]
  ) throws(InputError) -> [[UInt64]] {
    var value = opened
    if function.shift > 0 {
      let parts = ViewParts(opened: opened.base, shift: function.shift)
      let shares = components.suffix(2)
      value = MaskedWords(base: parts.base, parts: Array(shares), lift: parts.lift)
    }
    let rest = value.rest
    let payload = function.payload
    let knotCount = function.knots.count
    let steps = function.outputs.indices.map(function.steps)
    let count = opened.base.count
    var results = function.outputs.indices.map { output in
      let last = function.lastPiece(output)
      return (0..<count).map { index in
        last.slope &* (constantFactor &* value.base[index] &+ rest[index])
          &+ constantFactor &* last.intercept
      }
    }
    let roots = material.streams.comparisonRoots(node: node).words(
      in: ranges.map { 2 * $0.lowerBound..<2 * $0.upperBound })
    let comparison = ComparisonFunction(
      fixedKey: material.comparisonKey, levels: function.levels, payload: payload)
    try material.withComparisonKeys(node: node, ranges: ranges) { keys in
      let chunk = max(1, Self.chunkPointCount / knotCount)
      for start in stride(from: 0, to: count, by: chunk) {
        let elements = start..<min(start + chunk, count)
        var topBits = [UInt64](repeating: 0, count: elements.count * knotCount)
        var points = topBits
        for (position, element) in elements.enumerated() {
          for knot in 0..<knotCount {
            let point = function.point(opened.base[element], knot: function.knots[knot])
            topBits[position * knotCount + knot] = point.topBit
            points[position * knotCount + knot] = point.low
          }
        }
        let outputs = comparison.evaluated(
          party: material.party, keys: keys, keyRange: elements, roots: roots,
          pointsPerKey: knotCount, points: points)
        for (position, element) in elements.enumerated() {
          for knot in 0..<knotCount {
            let place = position * knotCount + knot
            let top = topBits[place]
            let sign = 1 &- 2 &* top
            let bit =
              top &* constantFactor
              &+ sign &* (components[0][element] &+ outputs[place * payload])
            // Share of bit * y = bit * base + sum over parts of coefficient * (bit * part).
            var product = value.base[element] &* bit
            for part in value.parts.indices {
              let masked =
                top &* value.parts[part][element]
                &+ sign &* (components[part + 1][element] &+ outputs[place * payload + part + 1])
              product &+= value.coefficient(part, element) &* masked
            }
            for output in results.indices {
              results[output][element] &+=
                steps[output][knot].slope &* product
                &+ steps[output][knot].intercept &* bit
            }
          }
        }
      }
    }
    return results
  }
}
