// Sessions and steps: how many rows are dealt, which of them a step uses, and where they lie.

public import Bytes
public import Models

/// The size of one unit of correlated randomness: the longest prompt and the most new tokens.
public struct SessionShape: Hashable, Sendable {
  public var kind: ModelKind
  /// Most tokens of the prompt (decoder) or of the text (encoder).
  public var promptCapacity: Int
  /// Most tokens that are generated; 0 for an encoder.
  public var newCapacity: Int

  public init(kind: ModelKind, promptCapacity: Int, newCapacity: Int) {
    precondition(promptCapacity > 0 && (kind == .encoder) == (newCapacity == 0))
    self.kind = kind
    self.promptCapacity = promptCapacity
    self.newCapacity = newCapacity
  }

  /// Rows that are ever evaluated; the last generated token is not fed back.
  public var rowCapacity: Int { promptCapacity + max(newCapacity - 1, 0) }

  /// Rows of a prompt of `promptLength` rows that all see each other: in a prefix decoder all but the
  /// last, that of the start token.
  fileprivate func contextLength(promptLength: Int) -> Int {
    kind == .prefixDecoder ? promptLength - 1 : 0
  }

  /// Keys that the row `row` attends to in the dealt layout, at distances below `window`: from the
  /// first of them on those that it has in any step.
  public func dealtKeys(row: Int, window: Int?) -> Range<Int> {
    keys(row: row, textLength: rowCapacity, promptLength: promptCapacity, window: window)
  }

  /// Keys that the row `row` attends to in a text of `textLength` rows that begins with a prompt of
  /// `promptLength`, at distances below `window`: causally in a decoder, but in the context of a
  /// prefix decoder.
  fileprivate func keys(row: Int, textLength: Int, promptLength: Int, window: Int?) -> Range<Int> {
    let end =
      kind.isDecoder ? max(row + 1, contextLength(promptLength: promptLength)) : textLength
    guard let window else { return 0..<end }
    return max(row - window + 1, 0)..<min(row + window, end)
  }

  /// Columns in each run of the dealt row `row`.
  public func dealtRunLength(_ columns: ColumnExtent, row: Int) -> Int {
    let count = dealtKeys(row: row, window: columns.window).count
    return columns.runLength(keyCount: count, dealtKeyCount: count)
  }

  /// Number of rows of a value with the extent `rows` in the dealt layout.
  public func dealtRowCount(_ rows: RowExtent) -> Int {
    switch rows {
    case .step, .session: rowCapacity
    case .last: max(newCapacity, 1)
    }
  }

  /// Elements before row `row` in the dealt layout (row-major, runs of a row in order of heads).
  public func dealtOffset(_ shape: ValueShape, row: Int) -> Int {
    let columns = shape.columns
    if case .fixed(let width) = columns { return row * width }
    if kind == .encoder, columns.window == nil {
      return row * columns.runCount * dealtRunLength(columns, row: 0)
    }
    return columns.runCount * (0..<row).reduce(0) { $0 + dealtRunLength(columns, row: $1) }
  }

  /// Number of elements that are dealt for a value of this shape.
  public func dealtCount(_ shape: ValueShape) -> Int {
    if case .blocks(let columns) = shape.columns {
      return columns.width
        * columns.pool.capacity(
          rowCount: dealtRowCount(shape.rows), blockCount: columns.count)
    }
    return dealtOffset(shape, row: dealtRowCount(shape.rows))
  }
}

/// One step of a session: a range of rows evaluated together.
public struct SessionStep: Hashable, Sendable {
  public var session: SessionShape
  /// Absolute positions evaluated in this step.
  public var rows: Range<Int>
  /// 0 for the prompt, then 1, 2, ...: which `.last` row this step uses.
  public var index: Int
  /// Rows of step 0.
  public let promptLength: Int
  /// All rows of the session at once, `.last` rows of every step included.
  public let isDealing: Bool
  /// Which blocks run, by the value that decides, as soon as it is revealed.
  public var patterns: [ValueID: BlockPattern] = [:]

  /// All rows of `session`; a value then has all its dealt elements.
  ///
  /// The dealer deals for it. Evaluated on plaintext it gives the outputs of all steps, bit for
  /// bit: no operation but attention mixes rows, and each row attends to the keys that it has in
  /// its own step.
  public static func dealing(_ session: SessionShape) -> SessionStep {
    dealing(session, rows: 0..<session.rowCapacity)
  }

  /// Rows `rows` of `dealing(session)`, which attend to the same keys as there.
  public static func dealing(_ session: SessionShape, rows: Range<Int>) -> SessionStep {
    SessionStep(
      session: session, rows: rows, index: 0, promptLength: session.promptCapacity,
      isDealing: true)
  }

  /// - Parameter promptLength: Rows of step 0: where it is left out, all of them in step 0, and in
  ///   others as many as the session allows.
  public init(session: SessionShape, rows: Range<Int>, index: Int, promptLength: Int? = nil) {
    let promptLength = promptLength ?? (index == 0 ? rows.count : session.promptCapacity)
    precondition(session.kind.isDecoder || (rows.lowerBound == 0 && index == 0))
    precondition(index < session.dealtRowCount(.last))
    precondition(index == 0 || session.kind != .prefixDecoder || promptLength <= rows.lowerBound)
    self.init(
      session: session, rows: rows, index: index, promptLength: promptLength, isDealing: false)
  }

  private init(
    session: SessionShape, rows: Range<Int>, index: Int, promptLength: Int, isDealing: Bool
  ) {
    precondition(!rows.isEmpty && rows.upperBound <= session.rowCapacity)
    self.session = session
    self.rows = rows
    self.index = index
    self.promptLength = promptLength
    self.isDealing = isDealing
  }

  /// Keys that the row at absolute position `row` attends to now, at distances below `window`.
  public func keys(row: Int, window: Int?) -> Range<Int> {
    session.keys(
      row: row, textLength: isDealing ? session.rowCapacity : rows.upperBound,
      promptLength: promptLength, window: window)
  }

  /// Place in the context of the row at absolute position `row` of a prefix decoder: its own, or that
  /// of the mask token, the last of the context, behind it.
  public func contextPosition(row: Int) -> Int {
    min(row, max(session.contextLength(promptLength: promptLength) - 1, 0))
  }

  /// Place in the generated text of the row at absolute position `row`, counted from one for that of
  /// the start token; zero in the context.
  public func blockPosition(row: Int) -> Int {
    max(row - session.contextLength(promptLength: promptLength) + 1, 0)
  }

  /// Number of rows that a value with this extent has in this step.
  public func rowCount(_ extent: RowExtent) -> Int {
    switch extent {
    case .step: rows.count
    case .last: isDealing ? session.dealtRowCount(.last) : 1
    case .session: session.rowCapacity
    }
  }

  /// Absolute position of row `index` of a value with this extent.
  public func position(_ extent: RowExtent, _ index: Int) -> Int {
    switch extent {
    case .step: rows.lowerBound + index
    case .last: isDealing ? session.promptCapacity - 1 + index : rows.upperBound - 1
    case .session: index
    }
  }

  /// The dealt row that the first row of a value with this extent has.
  public func firstDealtRow(_ extent: RowExtent) -> Int {
    extent == .last ? index : position(extent, 0)
  }

  /// Columns in each run of row `index`.
  public func runLength(_ shape: ValueShape, _ index: Int) -> Int {
    if case .blocks(let columns) = shape.columns {
      let rows = pattern(columns).rows
      return rows.indices.contains(index) ? rows[index].count * columns.width : 0
    }
    let row = position(shape.rows, index)
    let window = shape.columns.window
    return shape.columns.runLength(
      keyCount: keys(row: row, window: window).count,
      dealtKeyCount: session.dealtKeys(row: row, window: window).count)
  }

  /// Number of elements of a value of this shape in this step.
  public func elementCount(_ shape: ValueShape) -> Int {
    let count = rowCount(shape.rows)
    if case .fixed(let width) = shape.columns { return count * width }
    if case .blocks(let columns) = shape.columns {
      return pattern(columns).blockCount * columns.width
    }
    return (0..<count).reduce(0) { $0 + runLength(shape, $1) } * shape.columns.runCount
  }

  /// Where the elements of a value lie in the dealt layout: ranges in the order of the elements.
  ///
  /// A single range where all runs are as long as dealt, as they always are in a causal decoder.
  public func dealtRanges(_ shape: ValueShape) -> [Range<Int>] {
    if case .blocks(let columns) = shape.columns {
      let pattern = pattern(columns)
      let first = pattern.used * columns.width
      let count = pattern.blockCount * columns.width
      return count == 0 ? [] : [first..<first + count]
    }
    let firstRow = firstDealtRow(shape.rows)
    let count = elementCount(shape)
    let start = session.dealtOffset(shape, row: firstRow)
    let dense: Bool
    switch shape.columns {
    case .fixed, .sessionKeys, .blocks: dense = true
    case .keys, .pairs:
      dense = (0..<rowCount(shape.rows)).allSatisfy { row in
        runLength(shape, row)
          == session.dealtRunLength(shape.columns, row: position(shape.rows, row))
      }
    }
    if dense { return count == 0 ? [] : [start..<start + count] }
    var ranges: [Range<Int>] = []
    var offset = start
    for row in 0..<rowCount(shape.rows) {
      let length = runLength(shape, row)
      let dealtLength = session.dealtRunLength(shape.columns, row: position(shape.rows, row))
      for _ in 0..<shape.columns.runCount {
        if length > 0 { ranges.append(offset..<offset + length) }
        offset += dealtLength
      }
    }
    return ranges
  }
}

extension SessionShape {
  /// The shape that a user asks for, checked against the program.
  ///
  /// - Throws: `InputError` when an encoder is asked for new tokens, the model has too few
  ///   positions, or the session's sizes leave `SecureProgram.checkSizes`.
  public static func requested(program: SecureProgram, prompt: Int, new: Int?) throws(InputError)
    -> SessionShape
  {
    if program.kind == .encoder, let new, new > 0 {
      throw InputError("--new", "an encoder generates no tokens", hint: "leave --new out")
    }
    let newCapacity = program.kind == .encoder ? 0 : new ?? 32
    guard program.kind == .encoder || newCapacity > 0 else {
      throw InputError("--new", "a decoder's session needs at least one new token")
    }
    guard program.kind != .prefixDecoder || prompt > 1 else {
      throw InputError(
        "--prompt", "a prompt holds a mask and a start token", hint: "give at least 2")
    }
    let shape = SessionShape(
      kind: program.kind, promptCapacity: prompt, newCapacity: newCapacity)
    guard shape.rowCapacity <= program.maximumPositions else {
      throw InputError(
        "--prompt", "\(shape.rowCapacity) positions, the model has \(program.maximumPositions)")
    }
    try program.checkSizes(of: shape, source: "--prompt")
    return shape
  }
}
