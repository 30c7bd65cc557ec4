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
    switch shape.columns {
    case .blocks(let columns):
      return columns.width
        * columns.pool.capacity(
          rowCount: dealtRowCount(shape.rows), blockCount: columns.count)
    case .blockKeys(let columns):
      return columns.pool.capacity(
        rowLengths: (0..<dealtRowCount(shape.rows)).map { dealtKeys(row: $0, window: nil).count },
        blockCount: columns.count)
    case .fixed, .keys, .pairs, .sessionKeys:
      return dealtOffset(shape, row: dealtRowCount(shape.rows))
    }
  }
}

/// One step of a session: a range of rows evaluated together.
///
/// A row has a slot, which says what is dealt for it, and a position in the text, by which it is rotated
/// and attends to others; they differ where rows of earlier steps were rejected.
public struct SessionStep: Hashable, Sendable {
  public var session: SessionShape
  /// Slots evaluated in this step.
  public let rows: Range<Int>
  /// The slots of the text up to this step's last row.
  public let text: TextSlots
  /// The dealt `.last` rows that this step uses: 0 for that of the prompt, then 1, 2, ...
  public let outputs: Range<Int>
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
      session: session, rows: rows, text: TextSlots(count: rows.upperBound),
      outputs: 0..<session.dealtRowCount(.last), promptLength: session.promptCapacity,
      isDealing: true)
  }

  /// A step of a text of which nothing was rejected: the row of a slot has the position of its number.
  ///
  /// - Parameters:
  ///   - index: 0 for the prompt, then 1, 2, ...: which `.last` row this step uses.
  ///   - promptLength: Rows of step 0: where it is left out, all of them in step 0, and in others as
  ///     many as the session allows.
  public init(session: SessionShape, rows: Range<Int>, index: Int, promptLength: Int? = nil) {
    self.init(
      session: session, rows: rows, earlier: TextSlots(count: rows.lowerBound),
      outputs: index..<index + 1, promptLength: promptLength)
  }

  /// A step after the text in the slots `earlier`, whose last `outputs.count` rows are asked for.
  public init(
    session: SessionShape, rows: Range<Int>, earlier: TextSlots, outputs: Range<Int>,
    promptLength: Int? = nil
  ) {
    let isFirst = outputs.lowerBound == 0
    let promptLength = promptLength ?? (isFirst ? rows.count : session.promptCapacity)
    precondition(session.kind.isDecoder || (rows.lowerBound == 0 && isFirst))
    precondition(!outputs.isEmpty && outputs.upperBound <= session.dealtRowCount(.last))
    precondition(outputs.count <= rows.count)
    precondition(isFirst || session.kind != .prefixDecoder || promptLength <= rows.lowerBound)
    var text = earlier
    text.append(rows)
    self.init(
      session: session, rows: rows, text: text, outputs: outputs, promptLength: promptLength,
      isDealing: false)
  }

  private init(
    session: SessionShape, rows: Range<Int>, text: TextSlots, outputs: Range<Int>,
    promptLength: Int, isDealing: Bool
  ) {
    precondition(!rows.isEmpty && rows.upperBound <= session.rowCapacity)
    self.session = session
    self.rows = rows
    self.text = text
    self.outputs = outputs
    self.promptLength = promptLength
    self.isDealing = isDealing
  }

  /// The position of the first row in the text.
  public var firstPosition: Int { text.count - rows.count }

  /// Positions that the row at `position` attends to now, at distances below `window`.
  public func keys(position: Int, window: Int?) -> Range<Int> {
    session.keys(
      row: position, textLength: isDealing ? session.rowCapacity : text.count,
      promptLength: promptLength, window: window)
  }

  /// Place in the context of the row at `position` of a prefix decoder: its own, or that of the mask
  /// token, the last of the context, behind it.
  public func contextPosition(_ position: Int) -> Int {
    min(position, max(session.contextLength(promptLength: promptLength) - 1, 0))
  }

  /// Place in the generated text of the row at `position`, counted from one for that of the start
  /// token; zero in the context.
  public func blockPosition(_ position: Int) -> Int {
    max(position - session.contextLength(promptLength: promptLength) + 1, 0)
  }

  /// Number of rows that a value with this extent has in this step.
  public func rowCount(_ extent: RowExtent) -> Int {
    switch extent {
    case .step: rows.count
    case .last: outputs.count
    case .session: session.rowCapacity
    }
  }

  /// Position in the text of row `index` of a value with this extent.
  public func position(_ extent: RowExtent, _ index: Int) -> Int {
    switch extent {
    case .step: firstPosition + index
    case .last:
      isDealing ? session.promptCapacity - 1 + index : text.count - outputs.count + index
    case .session: index
    }
  }

  /// The dealt row that row `index` of a value with this extent has.
  public func dealtRow(_ extent: RowExtent, _ index: Int) -> Int {
    switch extent {
    case .step: rows.lowerBound + index
    case .last: outputs.lowerBound + index
    case .session: index
    }
  }

  /// Columns in each run of row `index`; of blocks, those of all that run.
  public func runLength(_ shape: ValueShape, _ index: Int) -> Int {
    if case .blocks(let columns) = shape.columns {
      let rows = pattern(columns).rows
      return rows.indices.contains(index) ? rows[index].count * columns.width : 0
    }
    let window = shape.columns.window
    return shape.columns.runLength(
      keyCount: keys(position: position(shape.rows, index), window: window).count,
      dealtKeyCount: session.dealtKeys(row: dealtRow(shape.rows, index), window: window).count)
  }

  /// Number of elements of a value of this shape in this step.
  public func elementCount(_ shape: ValueShape) -> Int {
    let count = rowCount(shape.rows)
    if case .fixed(let width) = shape.columns { return count * width }
    if shape.columns.runningBlocks != nil {
      return runningBlockWidths(shape).reduce(0, +)
    }
    return (0..<count).reduce(0) { $0 + runLength(shape, $1) } * shape.columns.runCount
  }

  /// Where the elements of a value lie in the dealt layout: ranges in the order of the elements.
  ///
  /// A single range where all runs are as long as dealt, as they are in a causal decoder of which
  /// nothing was rejected. Keys have the elements of their slots, pairs the first of their run.
  public func dealtRanges(_ shape: ValueShape) -> [Range<Int>] {
    if let columns = shape.columns.runningBlocks {
      let pattern = pattern(columns)
      let first =
        if case .blockKeys = shape.columns { pattern.usedKeys } else {
          pattern.used * columns.width
        }
      let count = elementCount(shape)
      return count == 0 ? [] : [first..<first + count]
    }
    let count = elementCount(shape)
    let start = session.dealtOffset(shape, row: dealtRow(shape.rows, 0))
    let isDense: Bool
    switch shape.columns {
    case .fixed, .sessionKeys, .blocks, .blockKeys: isDense = true
    case .keys, .pairs:
      isDense = (0..<rowCount(shape.rows)).allSatisfy { row in
        runLength(shape, row)
          == session.dealtRunLength(shape.columns, row: dealtRow(shape.rows, row))
      }
    }
    if isDense { return count == 0 ? [] : [start..<start + count] }
    var ranges: [Range<Int>] = []
    var offset = start
    for row in 0..<rowCount(shape.rows) {
      let dealtLength = session.dealtRunLength(shape.columns, row: dealtRow(shape.rows, row))
      let run = dealtColumns(shape, row)
      for _ in 0..<shape.columns.runCount {
        for columns in run {
          ranges.append(offset + columns.lowerBound..<offset + columns.upperBound)
        }
        offset += dealtLength
      }
    }
    return ranges
  }

  /// The dealt columns of one run of row `index`: those of the slots of its keys, else the first.
  func dealtColumns(_ shape: ValueShape, _ index: Int) -> [Range<Int>] {
    guard case .keys(_, 0, let window) = shape.columns, !text.isDense else {
      let length = runLength(shape, index)
      return length > 0 ? [0..<length] : []
    }
    let first = session.dealtKeys(row: dealtRow(shape.rows, index), window: window).lowerBound
    return text.slots(of: keys(position: position(shape.rows, index), window: window)).map {
      $0.lowerBound - first..<$0.upperBound - first
    }
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
