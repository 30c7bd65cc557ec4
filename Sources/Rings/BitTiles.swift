// Bits of many elements side by side, 64 elements a word, so that one instruction serves them all.

/// `planeCount` bits of each of `count` elements.
///
/// A *tile* holds 64 elements in `planeCount` words: bit j of word (t * planeCount + q) is bit q of
/// element 64 t + j. Bits beyond the last element are 0.
public struct BitTiles: Sendable {
  public let planeCount: Int
  public private(set) var count = 0
  public private(set) var words: [UInt64] = []

  public init(planeCount: Int) { self.planeCount = planeCount }

  public var tileCount: Int { BitTiles.tileCount(elements: count) }

  /// Tiles of `elements` elements.
  public static func tileCount(elements: Int) -> Int { (elements + 63) / 64 }

  /// The tiles that hold any of the elements in `range`.
  public static func tiles(holding range: Range<Int>) -> Range<Int> {
    range.isEmpty ? 0..<0 : range.lowerBound / 64..<tileCount(elements: range.upperBound)
  }

  /// Elements of tile `tile` that are there, 64 in all but the last.
  public func laneCount(tile: Int) -> Int { min(64, count - 64 * tile) }

  /// Appends the elements `range`, where `source` is the words of `tiles(holding: range)`.
  public mutating func append(_ range: Range<Int>, of source: [UInt64]) {
    precondition(
      source.count == BitTiles.tiles(holding: range).count * planeCount,
      "words of the tiles that hold the range")
    let first = range.lowerBound / 64 * 64
    var position = range.lowerBound
    while position < range.upperBound {
      let from = (position - first) % 64
      let into = count % 64
      let taken = min(64 - from, 64 - into, range.upperBound - position)
      let keep = UInt64.max &>> UInt64(64 - taken)
      let read = (position - first) / 64 * planeCount
      let written = count / 64 * planeCount
      if into == 0 { words.append(contentsOf: repeatElement(0, count: planeCount)) }
      for plane in 0..<planeCount {
        words[written + plane] |=
          ((source[read + plane] &>> UInt64(from)) & keep) &<< UInt64(into)
      }
      position += taken
      count += taken
    }
  }

  /// Swaps rows and columns of a 64 x 64 matrix of bits: bit j of `rows[i]` and bit i of `rows[j]`.
  public static func transpose(_ rows: inout [UInt64]) {
    precondition(rows.count == 64, "a square matrix")
    var size = 32
    var mask: UInt64 = 0xffff_ffff
    while size > 0 {
      var row = 0
      while row < 64 {
        // The right half of the upper rows changes places with the left half of the lower ones.
        let swapped = ((rows[row] &>> UInt64(size)) ^ rows[row + size]) & mask
        rows[row] ^= swapped &<< UInt64(size)
        rows[row + size] ^= swapped
        row = ((row | size) + 1) & ~size
      }
      size /= 2
      mask ^= mask &<< UInt64(size)
    }
  }
}
