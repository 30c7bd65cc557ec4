// Columns that run in some rows only: blocks that a revealed pattern switches on, and their pools.

/// How many blocks a session is dealt randomness for.
///
/// What is opened of running blocks takes masks and keys from a pool in the order in which it is
/// opened, whichever blocks they are.
public struct BlockPool: Hashable, Sendable {
  /// Blocks a row that are expected, times 256.
  public var expected: Int
  /// Blocks beyond that for the root of the number of rows, times 256.
  public var spare: Int

  public init(expected: Int, spare: Int) {
    self.expected = expected
    self.spare = spare
  }

  /// Blocks dealt for `rowCount` rows of `blockCount` blocks.
  ///
  /// min(rows * blocks, ceil((rows * expected + ceil(sqrt(rows)) * spare) / 256))
  public func capacity(rowCount: Int, blockCount: Int) -> Int {
    capacity(total: rowCount, squares: rowCount, blockCount: blockCount)
  }

  /// Columns dealt for rows that have `rowLengths` columns in each of `blockCount` blocks.
  ///
  /// As above, with the sum of the lengths for the rows, and that of their squares under the root.
  public func capacity(rowLengths: [Int], blockCount: Int) -> Int {
    capacity(
      total: rowLengths.reduce(0, +), squares: rowLengths.reduce(0) { $0 + $1 * $1 },
      blockCount: blockCount)
  }

  private func capacity(total: Int, squares: Int, blockCount: Int) -> Int {
    var root = Int(Double(squares).squareRoot())
    while root * root >= squares, root > 0 { root -= 1 }
    while root * root < squares { root += 1 }
    return min(total * blockCount, (total * expected + root * spare + 255) / 256)
  }
}

/// Columns of the blocks of a row that run, one after the other.
public struct BlockColumns: Hashable, Sendable {
  /// The revealed bits that decide about the blocks.
  public var gates: ValueID
  /// Blocks of a row, running or not.
  public var count: Int
  /// Columns of a block.
  public var width: Int
  public var pool: BlockPool

  /// Of neurons, or of a head of attention.
  static let widths = 1...1024

  public init(gates: ValueID, count: Int, width: Int, pool: BlockPool) {
    self.gates = gates
    self.count = count
    self.width = width
    self.pool = pool
  }
}

/// Which blocks run in the rows of a step, and how many did in the rows before.
public struct BlockPattern: Hashable, Sendable {
  /// The running blocks of each row, ascending.
  public var rows: [[Int]]
  /// Blocks of the pool that earlier steps have used.
  public var used: Int
  /// The same of a pool for keys, each block that ran as often as its row has keys.
  public var usedKeys: Int

  public init(rows: [[Int]], used: Int = 0, usedKeys: Int = 0) {
    self.rows = rows
    self.used = used
    self.usedKeys = usedKeys
  }

  /// The pattern of revealed bits, `count` in a row, after `earlier` blocks and keys.
  public init(bits: [UInt64], count: Int, earlier: (blocks: Int, keys: Int)) {
    rows = stride(from: 0, to: bits.count, by: count).map { start in
      (0..<count).filter { bits[start + $0] & 1 == 1 }
    }
    (used, usedKeys) = earlier
  }

  public var blockCount: Int { rows.reduce(0) { $0 + $1.count } }
}

extension SessionStep {
  /// The blocks that run in this step, as far as their pattern is known.
  public func pattern(_ columns: BlockColumns) -> BlockPattern {
    patterns[columns.gates] ?? BlockPattern(rows: [])
  }

  /// Blocks of `pattern` and of those before, and keys of both.
  public func used(_ pattern: BlockPattern) -> (blocks: Int, keys: Int) {
    let keys = pattern.rows.indices.reduce(0) {
      $0 + pattern.rows[$1].count * self.keys(position: position(.step, $1), window: nil).count
    }
    return (pattern.used + pattern.blockCount, pattern.usedKeys + keys)
  }

  /// Columns of a block of row `index`, of a value that has them in running blocks.
  public func blockWidth(_ shape: ValueShape, _ index: Int) -> Int {
    switch shape.columns {
    case .blocks(let columns): columns.width
    case .blockKeys: keys(position: position(shape.rows, index), window: nil).count
    case .fixed, .keys, .pairs, .sessionKeys: 0
    }
  }

  /// Columns of each running block, row after row.
  public func runningBlockWidths(_ shape: ValueShape) -> [Int] {
    guard let columns = shape.columns.runningBlocks else { return [] }
    return pattern(columns).rows.enumerated().flatMap { row, blocks in
      repeatElement(blockWidth(shape, row), count: blocks.count)
    }
  }

  /// Places of the elements of a value of running blocks among all columns, block after block.
  public func blockPlaces(_ shape: ValueShape) -> [Int] {
    guard let columns = shape.columns.runningBlocks else { return [] }
    var result: [Int] = []
    var first = 0
    for (row, blocks) in pattern(columns).rows.enumerated() {
      let width = blockWidth(shape, row)
      for block in blocks {
        let start = first + block * width
        for place in start..<start + width { result.append(place) }
      }
      first += columns.count * width
    }
    return result
  }

  /// What `words` of running blocks, a value of `shape`, are among all columns: zero elsewhere.
  public func spread(_ words: [UInt64], _ shape: ValueShape) -> [UInt64] {
    guard let columns = shape.columns.runningBlocks else { return words }
    let count = pattern(columns).rows.indices.reduce(0) {
      $0 + columns.count * blockWidth(shape, $1)
    }
    var result = [UInt64](repeating: 0, count: count)
    for (word, place) in zip(words, blockPlaces(shape)) { result[place] = word }
    return result
  }

  /// A value of `shape`, of running blocks, from `words` of all columns.
  public func gathered(_ words: [UInt64], _ shape: ValueShape) -> [UInt64] {
    blockPlaces(shape).map { words[$0] }
  }
}

extension SecureProgram {
  /// Whether bits are revealed that decide about blocks.
  public var hasGates: Bool {
    values.contains { if case .revealed = $0.form { true } else { false } }
  }

  /// Whether blocks of weights stand in a secret order: not where heads alone are gated.
  public var hasBlockOrders: Bool {
    weights.contains { $0.source.rowBlocks != nil || $0.source.columnBlocks != nil }
  }

  /// `step` with as many running blocks as pools expect, at equal distances: for costs.
  public func expectingBlocks(_ step: SessionStep) -> SessionStep {
    var step = step
    for (id, value) in values.enumerated() {
      guard case .revealed(let pool) = value.form, step.patterns[id] == nil,
        let count = value.shape.width
      else { continue }
      var rows: [[Int]] = []
      for row in 0..<step.rowCount(value.shape.rows) {
        let running = min(
          ((row + 1) * pool.expected + 128) / 256 - (row * pool.expected + 128) / 256, count)
        rows.append((0..<running).map { $0 * count / max(running, 1) })
      }
      step.patterns[id] = BlockPattern(rows: rows)
    }
    return step
  }

  /// How many thousandths of closed gates the dealer opens of those that `node` reveals.
  public func noise(of node: ProgramNode) -> Int {
    for input in node.operation.inputs {
      for other in nodes where other.outputs.contains(input) {
        if case .piecewiseLinear(_, let function) = other.operation { return function.noise }
      }
    }
    return 0
  }

  /// How many thousandths of closed gates the dealer opens: the most of any gates, 0 without noise.
  public var noise: Int {
    nodes.reduce(0) {
      guard case .piecewiseLinear(_, let function) = $1.operation else { return $0 }
      return max($0, function.noise)
    }
  }

  /// Whether the blocks that value `gates` decides about are heads of attention.
  public func skipsHeads(gates: ValueID) -> Bool {
    values.contains {
      if case .blockKeys(let columns) = $0.shape.columns { columns.gates == gates } else { false }
    }
  }

  /// The columns of running blocks that value `gates` decides about.
  public func blockColumns(gates: ValueID) -> BlockColumns? {
    for value in values {
      if case .blocks(let columns) = value.shape.columns, columns.gates == gates { return columns }
    }
    return nil
  }
}

/// A binary tree over the blocks of a row, whose nodes each tell the masks of all blocks below it.
public struct BlockTree: Hashable, Sendable {
  public let blockCount: Int

  public init(blockCount: Int) { self.blockCount = blockCount }

  /// Levels below the root.
  public var depth: Int { blockCount < 2 ? 0 : Int.bitWidth - (blockCount - 1).leadingZeroBitCount }

  /// A node `index` from the left of level `level`; the root has level 0.
  public struct Node: Hashable, Sendable {
    public var level: Int
    public var index: Int
  }

  /// The fewest nodes below which all blocks but `running` lie, from the left; places beyond the
  /// last block count as blocks that do not run.
  public func cover(running: [Int]) -> [Node] {
    var result: [Node] = []
    func visit(_ node: Node, _ running: ArraySlice<Int>) {
      if running.isEmpty {
        result.append(node)
        return
      }
      guard node.level < depth else { return }
      let middle = (2 * node.index + 1) << (depth - node.level - 1)
      let split = running.firstIndex { $0 >= middle } ?? running.endIndex
      visit(Node(level: node.level + 1, index: 2 * node.index), running[..<split])
      visit(Node(level: node.level + 1, index: 2 * node.index + 1), running[split...])
    }
    visit(Node(level: 0, index: 0), running[...])
    return result
  }

  /// The blocks below `node`.
  public func blocks(below node: Node) -> Range<Int> {
    let size = depth - node.level
    return min(node.index << size, blockCount)..<min((node.index + 1) << size, blockCount)
  }

  /// Words of the nodes that a party reveals for rows in which `pattern` runs.
  public func revealedWordCount(_ pattern: BlockPattern) -> Int {
    pattern.rows.reduce(0) { $0 + 2 * cover(running: $1).count }
  }
}
