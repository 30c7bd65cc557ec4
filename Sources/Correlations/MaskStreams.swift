// The mask of an opened value, made from both parties' streams where it is needed.

import Program
import Randomness
import Rings
import Sharing

/// r = r_0 + r_1 modulo 2^bits of one opened value in one session, in the dealt layout.
struct MaskStreams: Sendable {
  let share0: MaskShare
  let share1: MaskShare
  let opening: Opening

  /// Elements `range`.
  func words(in range: Range<Int>) -> [UInt64] {
    var words = share0.words(in: range)
    let other = share1.words(in: range)
    for index in words.indices { words[index] = opening.reduced(words[index] &+ other[index]) }
    return words
  }

  /// Replaces `words` with a part of the mask as a matrix with rows of `rowStride` elements:
  /// rows `rows` and columns `columns`, row-major without gaps.
  func fill(
    _ words: inout MutableSpan<UInt64>, rows: Range<Int>, columns: Range<Int>, rowStride: Int
  ) {
    share0.fill(&words, rows: rows, columns: columns, rowStride: rowStride)
    var other = [UInt64](repeating: 0, count: words.count)
    var span = other.mutableSpan
    share1.fill(&span, rows: rows, columns: columns, rowStride: rowStride)
    for index in words.indices { words[index] = opening.reduced(words[index] &+ other[index]) }
  }

  /// Rows `rows` and columns `columns` of the mask as a matrix with rows of `rowStride` elements,
  /// made when they are multiplied.
  func operand(rows: Range<Int>, columns: Range<Int>, rowStride: Int) -> RingOperand<UInt64> {
    RingOperand(rows: rows.count, columns: columns.count) { block, words in
      fill(
        &words, rows: block.rows.shifted(by: rows.lowerBound),
        columns: block.columns.shifted(by: columns.lowerBound), rowStride: rowStride)
    }
  }
}

/// The rows of several sessions one below the other, `rowCount` of each.
struct StackedRows: Sendable {
  let rowCount: Int

  /// Rows of the stack that belong to one session.
  struct Part {
    var session: Int
    /// Which rows of the session they are.
    var rows: Range<Int>
    /// Where they are among the rows that were asked for.
    var places: Range<Int>
  }

  /// Rows `rows` of the stack by session.
  func parts(of rows: Range<Int>) -> [Part] {
    var parts: [Part] = []
    var row = rows.lowerBound
    while row < rows.upperBound {
      let session = row / rowCount
      let end = min(rows.upperBound, (session + 1) * rowCount)
      parts.append(
        Part(
          session: session, rows: (row..<end).shifted(by: -session * rowCount),
          places: (row..<end).shifted(by: -rows.lowerBound)))
      row = end
    }
    return parts
  }

  /// Rows `rows` of the masks in memory, row-major with `width` words a row.
  func words(_ masks: [MaskStreams], rows: Range<Int>, width: Int) -> [UInt64] {
    parts(of: rows).flatMap { part in
      masks[part.session].words(in: part.rows.lowerBound * width..<part.rows.upperBound * width)
    }
  }

  /// Rows `rows` and columns `columns` of the masks with `width` words a row, made when they are
  /// multiplied.
  func operand(_ masks: [MaskStreams], rows: Range<Int>, columns: Range<Int>, width: Int)
    -> RingOperand<UInt64>
  {
    RingOperand(rows: rows.count, columns: columns.count) { block, words in
      let columns = block.columns.shifted(by: columns.lowerBound)
      for part in parts(of: block.rows.shifted(by: rows.lowerBound)) {
        let range = part.places.lowerBound * columns.count..<part.places.upperBound * columns.count
        unsafe words.withUnsafeMutableBufferPointer { words in
          var words = unsafe words.extracting(range).mutableSpan
          masks[part.session].fill(
            &words, rows: part.rows, columns: columns, rowStride: width)
        }
      }
    }
  }
}

extension Range<Int> {
  func shifted(by offset: Int) -> Range<Int> { lowerBound + offset..<upperBound + offset }
}

extension MaskShare {
  /// Replaces `words` with rows `rows` and columns `columns` of a matrix with rows of `rowStride`.
  func fill(
    _ words: inout MutableSpan<UInt64>, rows: Range<Int>, columns: Range<Int>, rowStride: Int
  ) {
    switch self {
    case .stream(let stream):
      stream.fill(&words, rows: rows, columns: columns, rowStride: rowStride)
    case .blocks(let masks):
      var place = 0
      for row in rows {
        let all = masks.words(rows: row..<row + 1)
        for column in columns {
          words[place] = all[column]
          place += 1
        }
      }
    }
  }
}
