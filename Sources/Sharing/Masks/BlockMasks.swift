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
  /// Where a block has a column for each key of its row: the session that says how many these are.
  private let keys: SessionShape?
  private let roots: RandomStream
  private let hash: FixedKeyHash
  private let tree: BlockTree

  /// `comparisonKey` is that of the session; with `keys` blocks have a column for each key of a row.
  public init(
    columns: BlockColumns, keys: SessionShape? = nil, roots: RandomStream, comparisonKey: [UInt8]
  ) {
    self.columns = columns
    self.keys = keys
    self.roots = roots
    hash = FixedKeyHash(fixedKey: comparisonKey)
    tree = BlockTree(blockCount: columns.count)
  }

  /// Columns of a block of dealt row `row`.
  private func width(_ row: Int) -> Int {
    keys?.dealtKeys(row: row, window: nil).count ?? columns.width
  }

  /// Elements before dealt row `row`.
  private func offset(_ row: Int) -> Int {
    columns.count * (keys == nil ? row * columns.width : (0..<row).reduce(0) { $0 + width($1) })
  }

  /// Shares of the masks of the dealt rows `rows`, row-major.
  public func words(rows: Range<Int>) -> [UInt64] {
    rows.flatMap { row in
      masks(below: root(row), levels: tree.depth, count: columns.count, width: width(row))
    }
  }

  /// Shares of the masks of elements `range` of the dealt layout.
  func words(in range: Range<Int>) -> [UInt64] {
    guard !range.isEmpty else { return [] }
    var first = 0
    if keys == nil {
      first = range.lowerBound / (columns.count * columns.width)
    } else {
      var end = columns.count * width(0)
      while end <= range.lowerBound {
        first += 1
        end += columns.count * width(first)
      }
    }
    let start = offset(first)
    var (words, row) = ([UInt64](), first)
    while start + words.count < range.upperBound {
      words += self.words(rows: row..<row + 1)
      row += 1
    }
    return Array(words[range.lowerBound - start..<range.upperBound - start])
  }

  private func root(_ row: Int) -> [UInt64] { roots.words(at: 2 * row, count: 2) }

  /// Masks of the first `count` blocks, of `width` columns, below a node that has `levels` levels
  /// below it.
  private func masks(below node: [UInt64], levels: Int, count: Int, width: Int) -> [UInt64] {
    var nodes = node
    for _ in 0..<levels { nodes = hash.hashes(nodes, tweaks: 0..<2) }
    let pairs = UInt64(width + 1) / 2
    let words = hash.hashes(Array(nodes[..<(2 * count)]), tweaks: 2..<2 + pairs)
    guard width % 2 == 1 else { return words }
    return (0..<count).flatMap { block in
      words[2 * block * Int(pairs)..<2 * block * Int(pairs) + width]
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

  /// Shares of all masks of the rows from dealt row `firstRow` on, those of blocks that do not run from
  /// `nodes`, which the other party revealed; zero where a block runs.
  public func words(
    revealed nodes: ArraySlice<UInt64>, _ pattern: BlockPattern, firstRow: Int
  ) -> [UInt64] {
    let widths = pattern.rows.indices.map { width(firstRow + $0) }
    var result = [UInt64](repeating: 0, count: columns.count * widths.reduce(0, +))
    var place = nodes.startIndex
    var start = 0
    for (width, running) in zip(widths, pattern.rows) {
      for node in tree.cover(running: running) {
        let blocks = tree.blocks(below: node)
        let words = masks(
          below: Array(nodes[place..<place + 2]), levels: tree.depth - node.level,
          count: blocks.count, width: width)
        let first = start + blocks.lowerBound * width
        result.replaceSubrange(first..<first + words.count, with: words)
        place += 2
      }
      start += columns.count * width
    }
    return result
  }
}

extension SessionStreams {
  /// Masks of the blocks that node `node` opens; see `BlockMasks`.
  public func blockMasks(
    node: Int, _ columns: BlockColumns, keys: SessionShape? = nil, comparisonKey: [UInt8]
  ) -> BlockMasks {
    BlockMasks(
      columns: columns, keys: keys, roots: blockRoots(node: node), comparisonKey: comparisonKey)
  }

  /// The same of a value of `columns`, which are those of blocks, in `session`.
  public func blockMasks(
    node: Int, _ columns: ColumnExtent, _ session: SessionShape, comparisonKey: [UInt8]
  ) -> BlockMasks? {
    let keys: SessionShape? = if case .blockKeys = columns { session } else { nil }
    return columns.runningBlocks.map {
      blockMasks(node: node, $0, keys: keys, comparisonKey: comparisonKey)
    }
  }
}
