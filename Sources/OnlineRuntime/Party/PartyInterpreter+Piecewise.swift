// Piecewise linear functions by comparison keys or by bits, on one party's shares.

import Bytes
import Program
import Randomness
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
    let payload = function.payload
    let knotCount = function.knots.count
    let count = opened.base.count
    var sums = PieceSums(
      function: function, value: argument(function, opened, components),
      constantFactor: constantFactor)
    guard let comparison = derived[node].comparison, let stream = derived[node].comparisonRoots
    else { preconditionFailure("comparisons by keys have keys") }
    let roots = stream.words(in: ranges.map { 2 * $0.lowerBound..<2 * $0.upperBound })
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
            sums.add(element: element, knot: knot, flip: topBits[place]) {
              components[$0][element] &+ outputs[place * payload + $0]
            }
          }
        }
      }
    }
    return sums.results
  }

  /// y: the opened value, or its view with the mask parts that follow the payload's arrays.
  private func argument(
    _ function: PiecewiseLinear, _ opened: MaskedWords, _ components: [[UInt64]]
  ) -> MaskedWords {
    guard function.isViewed else { return opened }
    let parts = ViewParts(
      opened: opened.base, shift: function.shift, bits: function.openedBits)
    let shares = components[function.payload..<function.payload + 2]
    return MaskedWords(base: parts.base, parts: Array(shares), lift: parts.lift)
  }

  /// The comparisons of a node by bits, before their first round.
  func pendingComparison(
    _ node: Int, _ function: PiecewiseLinear, _ opened: MaskedWords, _ ranges: [Range<Int>],
    components: [[UInt64]]
  ) throws(InputError) -> PendingComparison {
    let number = components.count
    let component = derived[node].components[number]
    let circuit = function.circuit
    var dealt = BitTiles(planeCount: circuit.planeCount(knots: function.knots.count))
    var masks = BitTiles(planeCount: circuit.maskCount * function.knots.count)
    guard let stream = derived[node].comparisonMask else {
      preconditionFailure("comparisons by bits have mask bits")
    }
    for range in ranges {
      dealt.append(
        range,
        of: try words(
          node: node, component: number, ranges: [component.words(of: range)]))
      let tiles = BitTiles.tiles(holding: range)
      masks.append(
        range,
        of: stream.words(
          at: tiles.lowerBound * masks.planeCount, count: tiles.count * masks.planeCount))
    }
    return PendingComparison(
      function: function, opened: opened.base, value: argument(function, opened, components),
      results: Array(components.prefix(function.payload)), dealt: dealt, masks: masks,
      party: material.party)
  }
}
