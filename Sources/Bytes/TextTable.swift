// Tables of plain text with aligned columns.

/// Rows of cells, printed with two spaces between aligned columns.
///
/// Where a terminal is too narrow, headings are broken at words, then prose; names lose their
/// middle; and columns that still have no room follow below, beside the first one again. A number is
/// never cut.
public struct TextTable: Sendable {
  /// What a column holds, which decides its side and what becomes of it where room is short.
  public enum Column: Sendable {
    /// Short text, kept as it is.
    case left
    /// Numbers, kept as they are.
    case right
    /// A name, of which both ends tell more than the middle.
    case name
    /// Words, which go on in the next line.
    case prose

    var isRight: Bool { self == .right }
  }

  struct Row {
    var cells: [String]
    var isHeading = false
    /// Whether it says what is wrong.
    var isMarked = false
    /// Whether a line is drawn below it.
    var isRuled = false
  }

  let columns: [Column]
  private(set) var rows: [Row] = []

  /// A table without a heading.
  public init(_ columns: [Column]) { self.columns = columns }

  /// A table with a heading, which is underlined.
  public init(_ columns: [(title: String, column: Column)]) {
    self.columns = columns.map(\.column)
    rows.append(Row(cells: columns.map(\.title), isHeading: true, isRuled: true))
  }

  public var rowCount: Int { rows.count }

  /// Appends one row; it must have one cell per column.
  ///
  /// - Parameter isMarked: Whether it says what is wrong, and is red where there are colours.
  public mutating func addRow(_ cells: [String], isMarked: Bool = false) {
    precondition(cells.count == columns.count, "a row needs \(columns.count) cells")
    rows.append(Row(cells: cells, isMarked: isMarked))
  }

  /// Draws a line below the last row.
  public mutating func addRule() { rows[rows.count - 1].isRuled = true }

  /// The table as files have it.
  public var text: String { text(.plain).text }

  /// The table for `style`, without trailing white space and without a newline at the end, and
  /// whether any name is shortened.
  func text(_ style: TextStyle) -> (text: String, isShortened: Bool) {
    var isShortened = false
    let parts = TableLayout.parts(of: self, columnCount: style.columnCount).map { layout in
      rows.map { row in
        let (lines, hasElided) = layout.lines(of: row)
        isShortened = isShortened || hasElided
        let text = lines.map { row.isMarked ? style.coloured($0, .red) : $0 }
        return (text + (row.isRuled ? [layout.rule] : [])).joined(separator: "\n")
      }.joined(separator: "\n")
    }
    return (parts.joined(separator: "\n\n"), isShortened)
  }
}
