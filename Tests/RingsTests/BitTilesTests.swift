// Bits of many elements: transposition, tiles from any ranges, and packing without gaps.

import Rings
import TestSupport
import Testing

struct BitTilesTests {
  @Test func transposition() {
    var random = SplitMix(1)
    let rows = (0..<64).map { _ in random.next() }
    var columns = rows
    BitTiles.transpose(&columns)
    for row in 0..<64 {
      for column in 0..<64 {
        #expect((rows[row] >> UInt64(column)) & 1 == (columns[column] >> UInt64(row)) & 1)
      }
    }
    BitTiles.transpose(&columns)
    #expect(columns == rows)
  }

  /// Ranges in the middle of tiles, across them, whole tiles, and none.
  @Test(
    arguments: [
      [0..<64], [0..<1], [3..<3], [5..<200], [64..<128, 130..<131], [63..<65, 70..<140, 191..<192],
      [1..<2, 3..<4, 60..<70, 127..<192], [10..<74, 100..<164],
    ], [1, 3])
  func rangesAreAppended(ranges: [Range<Int>], planeCount: Int) {
    var random = SplitMix(2)
    let source = (0..<4 * planeCount).map { _ in random.next() }
    func bit(_ words: [UInt64], _ element: Int, _ plane: Int) -> UInt64 {
      (words[element / 64 * planeCount + plane] >> UInt64(element % 64)) & 1
    }
    var tiles = BitTiles(planeCount: planeCount)
    for range in ranges {
      let held = BitTiles.tiles(holding: range)
      tiles.append(
        range, of: Array(source[held.lowerBound * planeCount..<held.upperBound * planeCount]))
    }
    let elements = ranges.flatMap(Array.init)
    #expect(tiles.count == elements.count)
    #expect(tiles.words.count == tiles.tileCount * planeCount)
    for (position, element) in elements.enumerated() {
      for plane in 0..<planeCount {
        #expect(bit(tiles.words, position, plane) == bit(source, element, plane))
      }
    }
    for position in elements.count..<64 * tiles.tileCount {
      for plane in 0..<planeCount { #expect(bit(tiles.words, position, plane) == 0) }
    }
  }

  @Test func packingHasNoGaps() {
    var random = SplitMix(3)
    let groups = (0..<500).map { _ in (random.next(), Int(random.next() % 65)) }
    var writer = BitWriter()
    for (bits, count) in groups { writer.append(bits, count: count) }
    let total = groups.reduce(0) { $0 + $1.1 }
    #expect(writer.words.count == (total + 63) / 64)
    var reader = BitReader(writer.words)
    for (bits, count) in groups {
      #expect(reader.next(count) == (count == 64 ? bits : bits & ((1 << UInt64(count)) - 1)))
    }
  }
}
