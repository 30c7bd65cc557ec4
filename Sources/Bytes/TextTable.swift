// Tables of plain text with aligned columns.

/// Rows of cells, printed with two spaces between aligned columns.
public struct TextTable: Sendable {
  /// The side of a column at which its text stands; numbers belong to the right.
  public enum Alignment: Sendable {
    case left
    case right
  }

  private let alignments: [Alignment]
  private var rows: [[String]] = []
  private var ruled: Set<Int> = []

  /// A table without a heading, one alignment per column.
  public init(_ alignments: [Alignment]) { self.alignments = alignments }

  /// A table with a heading, which is underlined.
  public init(_ columns: [(title: String, alignment: Alignment)]) {
    self.alignments = columns.map(\.alignment)
    addRow(columns.map(\.title))
    addRule()
  }

  public var rowCount: Int { rows.count }

  /// Appends one row; it must have one cell per column.
  public mutating func addRow(_ cells: [String]) {
    precondition(cells.count == alignments.count, "a row needs \(alignments.count) cells")
    rows.append(cells)
  }

  /// Draws a line below the last row.
  public mutating func addRule() { ruled.insert(rows.count - 1) }

  /// The table without trailing white space and without a newline at the end.
  public var text: String {
    var widths = alignments.map { _ in 0 }
    for row in rows {
      for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) }
    }
    var lines: [String] = []
    for (index, row) in rows.enumerated() {
      var line = ""
      for (column, cell) in row.enumerated() {
        if column > 0 { line += "  " }
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        line += alignments[column] == .left ? cell + padding : padding + cell
      }
      while line.last == " " { line.removeLast() }
      lines.append(line)
      if ruled.contains(index) {
        lines.append(widths.map { String(repeating: "-", count: $0) }.joined(separator: "  "))
      }
    }
    return lines.joined(separator: "\n")
  }
}
