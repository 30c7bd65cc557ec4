// Matrix products mod 2^64 and 2^32, with every bound checked before a kernel runs.

internal import CRingKernels

/// Products of matrices of ring elements.
///
/// Large products run on all cores in pieces that depend on the shape only; the result is the same
/// bit for bit whatever the arm and the number of threads. A piece takes less than 2 MB of memory
/// besides its operands and result.
public enum RingProduct {
  /// Products with fewer multiplications stay on one core, and pieces have about four times as
  /// many.
  static let parallelThreshold = 1 << 20

  /// a b, row-major [a.rowCount, b.columnCount].
  public static func product<Element: RingElement>(
    _ a: RingOperand<Element>, _ b: RingOperand<Element>
  ) -> [Element] {
    var result = [Element](repeating: 0, count: a.rowCount * b.columnCount)
    var span = result.mutableSpan
    multiply(a, b, into: &span, stride: b.columnCount)
    return result
  }

  /// c = a b, or c += a b where `accumulate`; row i of c starts at element i `stride` of its span.
  ///
  /// `parallel: false` stays on the calling thread, for callers that already use all cores.
  public static func multiply<Element: RingElement>(
    _ a: RingOperand<Element>, _ b: RingOperand<Element>, into c: inout MutableSpan<Element>,
    stride: Int, accumulate: Bool = false, parallel: Bool = true, arm: KernelArm = .best
  ) {
    let (rows, columns, inner) = (a.rowCount, b.columnCount, a.columnCount)
    precondition(inner == b.rowCount, "as many columns of a as rows of b")
    guard rows > 0, columns > 0 else { return }
    precondition(rows == 1 || stride >= columns, "rows must not overlap")
    precondition((rows - 1) * stride + columns <= c.count, "the result is larger than its span")
    let arm = arm.code
    let pieces = parallel ? Pieces(a, b) : Pieces(rows: rows, columns: columns)
    unsafe a.withKernelOperand { a in
      unsafe b.withKernelOperand { b in
        unsafe c.withUnsafeMutableBufferPointer { c in
          Parallel.forEachChunk(count: pieces.count, chunk: 1) { piece in
            var (a, b) = unsafe (a, b)
            let (rows, columns) = pieces[piece.lowerBound]
            let status = unsafe lodge_multiply(
              arm, CInt(Element.bitWidth), rows.lowerBound, rows.count, columns.lowerBound,
              columns.count, inner, &a, &b, c.baseAddress, stride, accumulate ? 1 : 0)
            precondition(status == 0, "out of memory for a product")
          }
        }
      }
    }
  }

  /// How a product is cut along one of its sides.
  private struct Pieces {
    let rows: Int
    let columns: Int
    var rowChunk: Int
    var columnChunk: Int

    /// One piece.
    init(rows: Int, columns: Int) {
      self.rows = rows
      self.columns = columns
      rowChunk = rows
      columnChunk = columns
    }

    init<Element>(_ a: RingOperand<Element>, _ b: RingOperand<Element>) {
      self.init(rows: a.rowCount, columns: b.columnCount)
      let work = Double(rows) * Double(columns) * Double(a.columnCount)
      guard work > Double(parallelThreshold) else { return }
      // Cutting the longer side, every piece packs the shorter one again, so pieces are not short.
      // Cutting along a produced factor, no block of it is produced twice.
      let cutsColumns = a.isProduced == b.isProduced ? columns > rows : b.isProduced
      let length = cutsColumns ? columns : rows
      let wanted = min(64, max(1, Int(work / Double(4 * parallelThreshold))))
      let chunk = min(length, max(96, (length + wanted - 1) / wanted + 95) / 96 * 96)
      if cutsColumns { columnChunk = chunk } else { rowChunk = chunk }
    }

    private var columnPieces: Int { (columns + columnChunk - 1) / columnChunk }

    var count: Int { (rows + rowChunk - 1) / rowChunk * columnPieces }

    subscript(index: Int) -> (rows: Range<Int>, columns: Range<Int>) {
      let row = index / columnPieces * rowChunk
      let column = index % columnPieces * columnChunk
      return (row..<min(row + rowChunk, rows), column..<min(column + columnChunk, columns))
    }
  }
}
