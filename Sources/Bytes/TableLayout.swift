// How the columns of a table share the width of a terminal.

/// Columns that stand beside each other, and how wide each is.
struct TableLayout {
  private let kinds: [TextTable.Column]
  /// Numbers of the table's columns.
  private let columns: [Int]
  private var widths: [Int]

  private static let gap = 2
  /// Names and prose are not made narrower than this to keep a column beside them, and names lose
  /// a quarter at most.
  private static let narrowestText = 24
  /// Where not even two columns have room, they have so little.
  private static let shortestText = 10

  /// The widths that a column may have.
  private struct Room {
    /// Of its widest cell, heading included.
    var natural = 0
    /// With its heading broken at words.
    var tight = 0
    /// With names and prose as narrow as may be beside others.
    var least = 0
    /// The same, where there is no other way.
    var shortest = 0
  }

  /// The parts of `table`, one below the other: one, unless it is too wide for that.
  static func parts(of table: TextTable, columnCount: Int?) -> [TableLayout] {
    let rooms = table.columns.indices.map { room(of: $0, in: table) }
    let limit = columnCount ?? .max
    func width(_ columns: [Int], _ width: (Room) -> Int) -> Int {
      columns.reduce(-gap) { $0 + width(rooms[$1]) + gap }
    }
    var parts: [[Int]] = []
    for column in table.columns.indices {
      if let last = parts.last, width(last + [column], \.least) <= limit || last == [0] {
        parts[parts.count - 1].append(column)
      } else {
        parts.append(column == 0 ? [0] : [0, column])
      }
    }
    return parts.map { columns in
      var widths = columns.map { rooms[$0].tight }
      // What is too much is taken from the widest, one by one.
      for least in [\Room.least, \.shortest] {
        while widths.reduce(-gap, { $0 + $1 + gap }) > limit,
          let widest = widths.indices.filter({ widths[$0] > rooms[columns[$0]][keyPath: least] })
            .max(by: { widths[$0] < widths[$1] })
        { widths[widest] -= 1 }
      }
      // What is left keeps headings whole.
      for (index, column) in columns.enumerated() {
        let more = rooms[column].natural - widths[index]
        if more > 0, limit - widths.reduce(-gap, { $0 + $1 + gap }) >= more {
          widths[index] += more
        }
      }
      return TableLayout(
        kinds: columns.map { table.columns[$0] }, columns: columns, widths: widths)
    }
  }

  private static func room(of column: Int, in table: TextTable) -> Room {
    func longestWord(_ text: String) -> Int { text.split(separator: " ").map(\.count).max() ?? 0 }
    var room = Room()
    var (heading, cells, word) = (0, 0, 0)
    for row in table.rows {
      let cell = row.cells[column]
      room.natural = max(room.natural, cell.count)
      if row.isHeading {
        heading = max(heading, longestWord(cell))
      } else {
        cells = max(cells, cell.count)
        word = max(word, longestWord(cell))
      }
    }
    room.tight = max(heading, cells)
    let least: Int
    switch table.columns[column] {
    case .left, .right:
      (room.least, room.shortest) = (room.tight, room.tight)
      return room
    case .name: least = cells * 3 / 4
    case .prose: least = word
    }
    room.least = max(heading, min(cells, max(narrowestText, least)))
    room.shortest = max(heading, min(cells, shortestText))
    return room
  }

  /// The line below a heading or above a sum.
  var rule: String {
    widths.map { String(repeating: "-", count: $0) }
      .joined(separator: String(repeating: " ", count: TableLayout.gap))
  }

  /// The lines that `row` takes, and whether any name is shortened in them.
  func lines(of row: TextTable.Row) -> (lines: [String], isShortened: Bool) {
    var isShortened = false
    let cells = columns.indices.map { index -> [String] in
      let text = row.cells[columns[index]]
      guard text.count > widths[index] else { return [text] }
      let isProse = row.isHeading || kinds[index] == .prose
      let lines = isProse ? wrapped(text, columnCount: widths[index]) : [text]
      // What is last may go on: paths are to be copied.
      guard kinds[index] == .name || (isProse && index < columns.count - 1) else { return lines }
      return lines.map { line in
        guard line.count > widths[index] else { return line }
        isShortened = true
        return elided(line, to: widths[index])
      }
    }
    let height = cells.map(\.count).max() ?? 1
    let lines = (0..<height).map { number in
      var line = ""
      for (index, lines) in cells.enumerated() {
        if index > 0 { line += String(repeating: " ", count: TableLayout.gap) }
        // Headings stand above their rule.
        let place = row.isHeading ? number - (height - lines.count) : number
        let cell = lines.indices.contains(place) ? lines[place] : ""
        let padding = String(repeating: " ", count: max(widths[index] - cell.count, 0))
        line += kinds[index].isRight ? padding + cell : cell + padding
      }
      while line.last == " " { line.removeLast() }
      return line
    }
    return (lines, isShortened)
  }

  /// Both ends of `text`, with "…" between them.
  private func elided(_ text: String, to count: Int) -> String {
    let tail = (count - 1) / 2
    return "\(text.prefix(count - 1 - tail))…\(text.suffix(tail))"
  }
}
