// Rows of a matrix whose transpose is stored, without holding all that is stored.

public import Bytes

/// Reads columns of a stored matrix, a few of its rows at a time.
public enum TransposedMatrix {
  /// Elements that are read at a time.
  private static let blockElementCount = 1 << 20

  /// Columns `columns` of a stored matrix, one after the other: row-major [columns.count,
  /// rowCount].
  ///
  /// `read` gives stored elements by their row-major indices; every stored row is read once.
  public static func columns(
    _ columns: Range<Int>, rowCount: Int, columnCount: Int,
    read: (Range<Int>) throws(InputError) -> [Float]
  ) throws(InputError) -> [Float] {
    guard !columns.isEmpty, rowCount > 0 else { return [] }
    var result = [Float](repeating: 0, count: columns.count * rowCount)
    let rowsPerBlock = max(1, blockElementCount / columnCount)
    for firstRow in stride(from: 0, to: rowCount, by: rowsPerBlock) {
      let rows = firstRow..<min(firstRow + rowsPerBlock, rowCount)
      let block = try read(rows.lowerBound * columnCount..<rows.upperBound * columnCount)
      transpose(block, rows, columns, columnCount: columnCount, into: &result, rowCount: rowCount)
    }
    return result
  }

  /// In squares, so that lines of the cache are used whole on both sides.
  private static func transpose(
    _ block: [Float], _ rows: Range<Int>, _ columns: Range<Int>, columnCount: Int,
    into result: inout [Float], rowCount: Int
  ) {
    let side = 32
    for firstRow in stride(from: 0, to: rows.count, by: side) {
      for firstColumn in stride(from: 0, to: columns.count, by: side) {
        for row in firstRow..<min(firstRow + side, rows.count) {
          for column in firstColumn..<min(firstColumn + side, columns.count) {
            result[column * rowCount + rows.lowerBound + row] =
              block[row * columnCount + columns.lowerBound + column]
          }
        }
      }
    }
  }
}
