// Masks of blocks: what a party reveals of them, and what it does not.

import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing

struct BlockMaskTests {
  static let key = [UInt8](0..<16)

  static let session = SessionShape(kind: .decoder, promptCapacity: 50, newCapacity: 8)

  static func masks(_ count: Int, _ width: Int, party: Int, keys: Bool = false) -> BlockMasks {
    SessionStreams(seed: Seed(bytes: [UInt8](repeating: 7, count: 32)), session: 3, party: party)
      .blockMasks(
        node: 5,
        BlockColumns(
          gates: 1, count: count, width: width, pool: BlockPool(expected: 256 * count, spare: 0)),
        keys: keys ? session : nil, comparisonKey: key)
  }

  /// Every pattern of a few blocks, and some of many.
  static func patterns(_ count: Int) -> [[Int]] {
    if count <= 6 {
      return (0..<1 << count).map { bits in (0..<count).filter { bits >> $0 & 1 == 1 } }
    }
    var random = SplitMix(UInt64(count))
    return (0..<40).map { density in
      (0..<count).filter { _ in random.next() % 40 < UInt64(density) }
    }
  }

  @Test(arguments: [1, 2, 3, 5, 6, 8, 37, 128], [1, 2, 3, 8])
  func nothingOfARunningBlock(count: Int, width: Int) {
    let masks = Self.masks(count, width, party: 0)
    let tree = BlockTree(blockCount: count)
    let patterns = Self.patterns(count)
    for running in patterns {
      let cover = tree.cover(running: running)
      // Disjoint, all that does not run, and nothing that does.
      #expect(
        cover.flatMap { Array(tree.blocks(below: $0)) }
          == (0..<count).filter { !running.contains($0) })
      // No two could be one: siblings would have been their parent.
      for (left, right) in zip(cover, cover.dropFirst()) where left.level == right.level {
        #expect(left.index % 2 == 1 || right.index != left.index + 1)
      }
    }
    let pattern = BlockPattern(rows: patterns)
    let nodes = masks.revealed(pattern, firstRow: 2)
    #expect(nodes.count == tree.revealedWordCount(pattern))
    let all = masks.words(rows: 2..<2 + patterns.count)
    let found = masks.words(revealed: nodes[...], pattern, firstRow: 2)
    #expect(found.count == all.count)
    for (place, word) in all.enumerated() {
      let runs = patterns[place / (count * width)].contains(place % (count * width) / width)
      #expect(found[place] == (runs ? 0 : word))
    }
  }

  /// Blocks of as many columns as their row has keys: those of row i have i + 1.
  @Test(arguments: [1, 3, 8]) func blocksOfKeys(count: Int) {
    let masks = Self.masks(count, 1, party: 0, keys: true)
    let patterns = Self.patterns(count).prefix(20)
    let pattern = BlockPattern(rows: Array(patterns))
    let all = masks.words(rows: 2..<2 + patterns.count)
    let found = masks.words(
      revealed: masks.revealed(pattern, firstRow: 2)[...], pattern, firstRow: 2)
    var place = 0
    for (row, running) in patterns.enumerated() {
      let width = 3 + row
      #expect(
        all[place..<place + count * width].elementsEqual(masks.words(rows: 2 + row..<3 + row)))
      for block in 0..<count {
        for _ in 0..<width {
          #expect(found[place] == (running.contains(block) ? 0 : all[place]))
          place += 1
        }
      }
    }
    #expect(place == all.count && found.count == all.count)
    // Rows 0 and 1 have 3 count elements before them.
    let share = MaskShare.blocks(masks)
    for range in [3 * count..<3 * count, 3 * count + 1..<all.count, 0..<3 * count + 2] {
      let expected = masks.words(rows: 0..<2) + all
      #expect(share.words(in: range) == Array(expected[range]))
    }
  }

  @Test func rowsPartiesAndBlocksHaveTheirOwn() {
    let words = (0...1).flatMap { Self.masks(5, 3, party: $0).words(rows: 0..<4) }
    #expect(Set(words).count == words.count)
    #expect(
      Self.masks(5, 3, party: 1).words(rows: 3..<4)
        == Array(Self.masks(5, 3, party: 1).words(rows: 0..<4).suffix(15)))
  }
}
