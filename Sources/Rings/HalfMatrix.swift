// A matrix of small integers as a factor of ring products, a quarter of the size of its ring elements.

internal import CRingKernels

/// A row-major matrix of signed integers of 16 bits.
public struct HalfMatrix: Sendable {
  public let elements: [Int16]
  public let rowCount: Int
  public let columnCount: Int

  /// With fewer rows of the other factor nothing is gained by making ring elements of this one first.
  private static let leastRows = 4
  /// Elements of one task, of few rows of the other factor.
  private static let taskElementCount = 1 << 16
  /// Ring elements that a task makes at a time, for more rows.
  private static let madeElementCount = 1 << 15
  /// Columns of this matrix in a task.
  private static let taskColumnCount = 256

  public init(_ elements: [Int16], rows: Int, columns: Int) {
    precondition(rows >= 0 && columns >= 0 && elements.count == rows * columns, "a whole matrix")
    self.elements = elements
    rowCount = rows
    columnCount = columns
  }

  /// All elements in the ring.
  public var words: [UInt64] { words(rows: 0..<rowCount, columns: 0..<columnCount, .best) }

  /// A part in the ring, row-major.
  private func words(rows: Range<Int>, columns: Range<Int>, _ arrays: WordArrays) -> [UInt64] {
    unsafe WordArrays.filled(rows.count * columns.count) { out in
      unsafe elements.withUnsafeBufferPointer { elements in
        guard let from = elements.baseAddress else { return }
        for row in rows {
          unsafe arrays.kernels.widen_halves(
            from + row * columnCount + columns.lowerBound, columns.count,
            out + (row - rows.lowerBound) * columns.count)
        }
      }
    }
  }

  /// x M^T modulo 2^64, [x.count / columnCount, rowCount].
  public func timesTransposed(_ x: [UInt64], arm: KernelArm = .best) -> [UInt64] {
    precondition(columnCount > 0 && x.count % columnCount == 0, "whole rows of columnCount")
    let rows = x.count / columnCount
    let arrays = WordArrays(arm)
    // [rowCount, rows]: a task has whole rows of it.
    var result = [UInt64](repeating: 0, count: rowCount * rows)
    guard !result.isEmpty else { return result }
    let isShort = rows < Self.leastRows
    let most = (isShort ? Self.taskElementCount : Self.madeElementCount) / columnCount
    let taskRows = max(most, isShort ? 1 : min(rows, 64), 1)
    let right = RingOperand(x, rows: rows, columns: columnCount).transposed
    var span = result.mutableSpan
    Parallel.forEachChunk(of: &span, chunk: taskRows * rows) { range, piece in
      let part = range.lowerBound / rows..<range.upperBound / rows
      guard isShort else {
        let made = words(rows: part, columns: 0..<columnCount, arrays)
        RingProduct.multiply(
          RingOperand(made, rows: part.count, columns: columnCount), right, into: &piece,
          stride: rows, parallel: false, arm: arm)
        return
      }
      unsafe elements.withUnsafeBufferPointer { elements in
        unsafe x.withUnsafeBufferPointer { x in
          guard let from = elements.baseAddress, let x = x.baseAddress else { return }
          for row in part {
            for other in 0..<rows {
              piece[(row - part.lowerBound) * rows + other] = unsafe arrays.kernels.dot_halves(
                from + row * columnCount, x + other * columnCount, columnCount)
            }
          }
        }
      }
    }
    guard rows > 1 else { return result }
    var transposed = [UInt64](repeating: 0, count: result.count)
    for row in 0..<rowCount {
      for other in 0..<rows { transposed[other * rowCount + row] = result[row * rows + other] }
    }
    return transposed
  }

  /// x M modulo 2^64, [x.count / rowCount, columnCount].
  public func times(_ x: [UInt64], arm: KernelArm = .best) -> [UInt64] {
    precondition(rowCount > 0 && x.count % rowCount == 0, "whole rows of rowCount")
    let rows = x.count / rowCount
    let arrays = WordArrays(arm)
    // A task has some columns for all rows of x, one task's after the other's.
    var parts = [UInt64](repeating: 0, count: rows * columnCount)
    guard !parts.isEmpty else { return parts }
    var span = parts.mutableSpan
    Parallel.forEachChunk(of: &span, chunk: Self.taskColumnCount * rows) { range, piece in
      let columns = range.lowerBound / rows..<range.upperBound / rows
      guard rows >= Self.leastRows else {
        addTimes(x, rows: rows, columns, arrays, to: &piece)
        return
      }
      let step = max(Self.madeElementCount / columns.count, 1)
      for start in stride(from: 0, to: rowCount, by: step) {
        let inner = start..<min(start + step, rowCount)
        let made = words(rows: inner, columns: columns, arrays)
        RingProduct.multiply(
          RingOperand(
            x, offset: inner.lowerBound, rows: rows, columns: inner.count, stride: rowCount),
          RingOperand(made, rows: inner.count, columns: columns.count), into: &piece,
          stride: columns.count, accumulate: start > 0, parallel: false, arm: arm)
      }
    }
    guard rows > 1 else { return parts }
    var result = [UInt64](repeating: 0, count: parts.count)
    for start in stride(from: 0, to: columnCount, by: Self.taskColumnCount) {
      let width = min(Self.taskColumnCount, columnCount - start)
      for row in 0..<rows {
        for column in 0..<width {
          result[row * columnCount + start + column] = parts[start * rows + row * width + column]
        }
      }
    }
    return result
  }

  /// Adds some columns of x M to `piece`, [rows, columns.count].
  private func addTimes(
    _ x: [UInt64], rows: Int, _ columns: Range<Int>, _ arrays: WordArrays,
    to piece: inout MutableSpan<UInt64>
  ) {
    unsafe piece.withUnsafeMutableBufferPointer { piece in
      unsafe elements.withUnsafeBufferPointer { elements in
        guard let from = elements.baseAddress, let to = piece.baseAddress else { return }
        for inner in 0..<rowCount {
          let row = unsafe from + inner * columnCount + columns.lowerBound
          for other in 0..<rows {
            unsafe arrays.kernels.add_halves(
              row, columns.count, x[other * rowCount + inner], to + other * columns.count)
          }
        }
      }
    }
  }
}
