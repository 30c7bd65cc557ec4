// Lookups by point keys, on one party's shares.

import Bytes
import Program
import Randomness
import Rings
import Sharing

extension PartyInterpreter {
  /// The share of `function` at the opened value, elements of which the keys `ranges` belong to.
  func lookup(
    _ node: Int, _ function: Lookup, _ opened: MaskedWords, _ ranges: [Range<Int>]
  ) throws(InputError) -> [UInt64] {
    guard let point = derived[node].point, let tables = derived[node].tables,
      let stream = derived[node].keyRoots
    else { preconditionFailure("lookups have keys") }
    let roots = stream.words(in: ranges.map { 2 * $0.lowerBound..<2 * $0.upperBound })
    let places = opened.base.map(function.place)
    let cells = places.map(\.cell)
    let tableCount = function.tableCount
    var sums = [UInt64](repeating: 0, count: cells.count * tableCount)
    try material.withKeys(node: node, ranges: ranges) { keys in
      var span = sums.mutableSpan
      point.sum(
        party: material.party, keys: keys, roots: roots.span, cells: cells.span, tables: tables,
        into: &span)
    }
    return places.enumerated().map { element, place in
      function.result(
        sums[element * tableCount..<(element + 1) * tableCount], offset: place.offset)
    }
  }
}
