// Shapes of program values: how many rows and columns a value has in a step and in a session.

/// Which rows of a session a value has.
public enum RowExtent: String, Sendable, CaseIterable {
  /// The rows of the current step: the prompt, then one row a new token.
  case step
  /// Rows of the current step only: the last ones of a decoder, whose logits are wanted, or the one
  /// that an encoder pools its text to.
  case last
  /// All rows of the session, zero beyond the text (encoders only).
  case session
}

/// How many columns a row has; a row of attention scores has one column per head and key.
public enum ColumnExtent: Hashable, Sendable {
  /// The same number in every row.
  case fixed(Int)
  /// `heads` runs of ceil(K / 2^halvings) columns, K the number of keys that the row attends to:
  /// those at a distance below `window`, where it is not nil.
  case keys(heads: Int, halvings: Int, window: Int? = nil)
  /// `heads` runs of floor(ceil(K / 2^halvings) / 2) columns: the pairs of `.keys`.
  case pairs(heads: Int, halvings: Int, window: Int? = nil)
  /// `heads` runs of as many columns as the row has keys in the dealt layout: in a text, or after a
  /// prompt, as long as the session allows, and in a causal decoder all slots up to the row's own.
  case sessionKeys(heads: Int, window: Int? = nil)
  /// Those of the blocks of the row that run.
  case blocks(BlockColumns)
  /// One for each key of the row in each block that runs; the blocks are heads, of width 1.
  case blockKeys(BlockColumns)

  /// Number of equal runs in a row, those of blocks that do not run included: the heads, or 1.
  public var runCount: Int {
    switch self {
    case .fixed, .blocks: 1
    case .keys(let heads, _, _), .pairs(let heads, _, _), .sessionKeys(let heads, _): heads
    case .blockKeys(let columns): columns.count
    }
  }

  /// From which distance on a row sees no keys, or nil.
  public var window: Int? {
    switch self {
    case .fixed, .blocks, .blockKeys: nil
    case .keys(_, _, let window), .pairs(_, _, let window), .sessionKeys(_, let window): window
    }
  }

  /// Columns in one run of a row that attends to `keyCount` keys now, and to `dealtKeyCount` in the
  /// dealt layout; of blocks, those of a row in which all run.
  public func runLength(keyCount: Int, dealtKeyCount: Int) -> Int {
    switch self {
    case .fixed(let width): width
    case .keys(_, let halvings, _): (keyCount + (1 << halvings) - 1) >> halvings
    case .pairs(_, let halvings, _): ((keyCount + (1 << halvings) - 1) >> halvings) / 2
    case .sessionKeys: dealtKeyCount
    case .blocks(let columns): columns.count * columns.width
    case .blockKeys: keyCount
    }
  }

  /// Of columns that are there only in blocks that run, which blocks these are.
  public var runningBlocks: BlockColumns? {
    switch self {
    case .blocks(let columns), .blockKeys(let columns): columns
    case .fixed, .keys, .pairs, .sessionKeys: nil
    }
  }
}

/// Shape of a program value.
public struct ValueShape: Hashable, Sendable {
  public var rows: RowExtent
  public var columns: ColumnExtent

  public init(_ rows: RowExtent, _ columns: ColumnExtent) {
    self.rows = rows
    self.columns = columns
  }

  public static func fixed(_ width: Int, rows: RowExtent = .step) -> ValueShape {
    ValueShape(rows, .fixed(width))
  }

  /// The width of a `.fixed` value, or nil.
  public var width: Int? {
    if case .fixed(let width) = columns { return width }
    return nil
  }
}

extension ValueShape: CustomStringConvertible {
  public var description: String {
    let rowText: String =
      switch rows {
      case .step: "rows"
      case .last: "last"
      case .session: "session"
      }
    let columnText: String =
      switch columns {
      case .fixed(let width): "\(width)"
      case .keys(let heads, let halvings, _):
        halvings == 0 ? "\(heads)xkeys" : "\(heads)xkeys/\(1 << halvings)"
      case .pairs(let heads, let halvings, _): "\(heads)xpairs/\(2 << halvings)"
      case .sessionKeys(let heads, _): "\(heads)xsession"
      case .blocks(let columns): "blocks of \(columns.width) by v\(columns.gates)"
      case .blockKeys(let columns): "blocks of keys by v\(columns.gates)"
      }
    let windowText = columns.window.map { " below \($0)" } ?? ""
    return "[\(rowText), \(columnText)\(windowText)]"
  }
}
