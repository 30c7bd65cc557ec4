// Piecewise linear functions by comparison keys or by bits, on one party's shares.

import Bytes
import Program
import Randomness
import Rings
import Sharing

extension PartyInterpreter {
  /// Points evaluated at a time, so that the key outputs stay in the cache.
  private static var chunkPointCount: Int { 1 << 11 }

  /// Shares of each output of `function` at the opened value.
  ///
  /// With e = h xor [low(X - knot) < low(r)] the bit [x < knot] is m + (1 - 2 m) e, m the top bit
  /// of the window of X - knot. The key gives e - h and, times the mask parts of y, (e - h) * part;
  /// the correlated components add h and h * part.
  func piecewise(
    _ node: Int, _ function: PiecewiseLinear, _ opened: MaskedWords, _ ranges: [Range<Int>],
    components: [[UInt64]]
  ) throws(InputError) -> [[UInt64]] {
    let knotCount = function.knots.count
    let count = opened.base.count
    guard let comparison = derived[node].comparison, let stream = derived[node].keyRoots,
      let tables = derived[node].pieces
    else { preconditionFailure("comparisons by keys have keys") }
    let value = argument(function, opened, components)
    var sums = PieceSums(tables: tables, value: value, constantFactor: constantFactor)
    let roots = stream.words(in: ranges.map { 2 * $0.lowerBound..<2 * $0.upperBound })
    let outputCount = function.outputs.count
    let knots = tables.knots
    var steps = [UInt64](repeating: 0, count: count * outputCount)
    try material.withKeys(node: node, ranges: ranges) { keys in
      var span = steps.mutableSpan
      let chunk = max(1, Self.chunkPointCount / knotCount)
      Parallel.forEachChunk(of: &span, chunk: chunk * outputCount) { range, piece in
        let elements = range.lowerBound / outputCount..<range.upperBound / outputCount
        // The keys compare the bits below the top one; that says what their outputs mean.
        var windows = [UInt64](repeating: 0, count: elements.count * knotCount)
        var place = 0
        for element in elements {
          for knot in knots {
            windows[place] = function.window(opened.base[element] &- knot)
            place += 1
          }
        }
        let shares = comparison.evaluated(
          party: material.party, keys: keys, keyRange: elements, roots: roots,
          pointsPerKey: knotCount, points: windows, parallel: false)
        if tables.areConstant {
          tables.bitSums(
            of: elements, windows: windows, levels: function.levels, shares: shares,
            correlated: components, factor: constantFactor, into: &piece)
          return
        }
        value.stepSums(
          tables.steps, of: elements, windows: windows.span, levels: function.levels,
          shares: shares.span, correlated: components, factor: constantFactor, into: &piece)
      }
    }
    sums.add(steps)
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
    let component = derived[node].components[number].component
    let circuit = function.circuit
    var dealt = BitTiles(planeCount: circuit.planeCount(knots: function.knots.count))
    var masks = BitTiles(planeCount: circuit.maskCount * function.knots.count)
    guard let stream = derived[node].comparisonMask, let tables = derived[node].pieces else {
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
        of: stream.words(in: [
          tiles.lowerBound * masks.planeCount..<tiles.upperBound * masks.planeCount
        ]))
    }
    return PendingComparison(
      function: function, tables: tables, opened: opened.base,
      value: argument(function, opened, components),
      results: Array(components.prefix(function.resultArrayCount)), dealt: dealt, masks: masks,
      party: material.party)
  }
}
