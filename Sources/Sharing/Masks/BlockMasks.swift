// A party's share of the masks of blocks, row by row from a tree of which it can reveal any part.

public import Program
public import Randomness
internal import Rings

/// Masks of the columns of blocks, of which a row has `columns.count`.
///
/// Every row has a 16-byte root, words 2i and 2i + 1 of its stream for dealt row i. The children of a
/// node s are H(s, 0) and H(s, 1), and the masks of the block at a last node s, two by two, the words of
/// H(s, 2), H(s, 3), ...; `formats/program.md` specifies them.
public struct BlockMasks: Sendable {
  public let columns: BlockColumns
  private let roots: RandomStream
  private let hash: FixedKeyHash
  private let tree: BlockTree

  /// `comparisonKey` is that of the session.
  public init(columns: BlockColumns, roots: RandomStream, comparisonKey: [UInt8]) {
    self.columns = columns
    self.roots = roots
    hash = FixedKeyHash(fixedKey: comparisonKey)
    tree = BlockTree(blockCount: columns.count)
  }

  public var rowWidth: Int { columns.count * columns.width }

  /// Shares of the masks of the dealt rows `rows`, row-major.
  public func words(rows: Range<Int>) -> [UInt64] {
    var result: [UInt64] = []
    result.reserveCapacity(rows.count * rowWidth)
    for row in rows { result += masks(below: root(row), levels: tree.depth, count: columns.count) }
    return result
  }

  private func root(_ row: Int) -> [UInt64] { roots.words(at: 2 * row, count: 2) }

  /// Masks of the first `count` blocks below a node that has `levels` levels below it.
  private func masks(below node: [UInt64], levels: Int, count: Int) -> [UInt64] {
    var nodes = node
    for _ in 0..<levels { nodes = hash.hashes(nodes, tweaks: 0..<2) }
    let pairs = UInt64(columns.width + 1) / 2
    let words = hash.hashes(Array(nodes[..<(2 * count)]), tweaks: 2..<2 + pairs)
    guard columns.width % 2 == 1 else { return words }
    return (0..<count).flatMap { block in
      words[2 * block * Int(pairs)..<2 * block * Int(pairs) + columns.width]
    }
  }

  /// The nodes that tell the masks of all blocks that do not run, two words each, for rows from dealt
  /// row `firstRow` on.
  public func revealed(_ pattern: BlockPattern, firstRow: Int) -> [UInt64] {
    pattern.rows.enumerated().flatMap { row, running in
      let root = root(firstRow + row)
      return tree.cover(running: running).flatMap { node in
        var words = root
        for level in 0..<node.level {
          let side = UInt64(node.index >> (node.level - 1 - level) & 1)
          words = hash.hashes(words, tweaks: side..<side + 1)
        }
        return words
      }
    }
  }

  /// Shares of all masks of the rows, those of blocks that do not run from `nodes`, which the other
  /// party revealed; zero where a block runs.
  public func words(revealed nodes: ArraySlice<UInt64>, _ pattern: BlockPattern) -> [UInt64] {
    var result = [UInt64](repeating: 0, count: pattern.rows.count * rowWidth)
    var place = nodes.startIndex
    for (row, running) in pattern.rows.enumerated() {
      for node in tree.cover(running: running) {
        let blocks = tree.blocks(below: node)
        let words = masks(
          below: Array(nodes[place..<place + 2]), levels: tree.depth - node.level,
          count: blocks.count)
        let first = row * rowWidth + blocks.lowerBound * columns.width
        result.replaceSubrange(first..<first + words.count, with: words)
        place += 2
      }
    }
    return result
  }
}

extension SessionStreams {
  /// Masks of the blocks that node `node` opens.
  public func blockMasks(node: Int, _ columns: BlockColumns, comparisonKey: [UInt8]) -> BlockMasks {
    BlockMasks(columns: columns, roots: blockRoots(node: node), comparisonKey: comparisonKey)
  }
}
