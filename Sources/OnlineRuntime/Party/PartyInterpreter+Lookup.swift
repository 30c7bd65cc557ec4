// Lookups and exponentials by point keys, on one party's shares.

import Bytes
import Program
import Randomness
import Rings
import Sharing

extension PartyInterpreter {
  /// The share of `function` at the opened value, elements of which the keys `ranges` belong to, and
  /// of its factor where it has one.
  func lookup(
    _ node: Int, _ function: Lookup, _ opened: MaskedWords, factor: MaskedWords?,
    _ ranges: [Range<Int>]
  ) throws(InputError) -> [UInt64] {
    guard let point = derived[node].point, let tables = derived[node].tables,
      let stream = derived[node].keyRoots
    else { preconditionFailure("lookups have keys") }
    let roots = stream.words(in: ranges.map { 2 * $0.lowerBound..<2 * $0.upperBound })
    let places = opened.base.map(function.cells.reduced)
    var sums = [UInt64](repeating: 0, count: places.count * tables.sumCount)
    try material.withKeys(node: node, ranges: ranges) { keys in
      var span = sums.mutableSpan
      point.sum(
        party: material.party, keys: keys, roots: roots.span, places: places.span, tables: tables,
        into: &span)
    }
    return function.results(
      sums: sums, opened: places, base: factor?.base ?? [], lift: factor?.lift ?? [])
  }

  /// The share of the exponentials of an opened value of `shape`.
  func exponentials(
    _ node: Int, _ function: Exponential, _ opened: MaskedWords, _ shape: ValueShape,
    _ step: SessionStep
  ) throws(InputError) -> [UInt64] {
    guard let point = derived[node].point, let factors = derived[node].factors,
      let stream = derived[node].keyRoots
    else { preconditionFailure("exponentials have keys") }
    let ranges = step.dealtRanges(shape)
    let roots = stream.words(in: ranges.map { 2 * $0.lowerBound..<2 * $0.upperBound })
    let places = step.cellPlaces(opened.base, shape, function.cells, tops: function.tops)
    let pointCount = factors.pointCount
    var points: [UInt64] = []
    points.reserveCapacity(places.count * pointCount)
    for place in places { factors.appendPoints(cell: place.cell, to: &points) }
    var shares = [UInt64](repeating: 0, count: points.count)
    try material.withKeys(node: node, ranges: ranges) { keys in
      var span = shares.mutableSpan
      point.evaluate(
        party: material.party, keys: keys, roots: roots.span, pointsPerKey: pointCount,
        points: points.span, into: &span)
    }
    return places.enumerated().map { element, place in
      factors.result(
        shares[element * pointCount..<(element + 1) * pointCount], offset: place.offset)
    }
  }
}
