// Matrix products mod 2^64 over spans, with every bound checked before the kernel runs.

internal import CRingKernels

/// Products of row-major matrices of ring elements (mod 2^64); strides are in elements.
///
/// Row i of a matrix with stride s starts at element i s of its span. Large products run on all
/// cores; the result is the same bit for bit whatever the arm and the number of threads.
public enum RingMatrixProduct {
  /// Products with more multiplications than this are split over the cores.
  static let parallelThreshold = 1 << 20

  /// c = a b^T, or c += a b^T where `accumulate`; a is [rows, inner], b is [columns, inner] and
  /// c is [rows, columns].
  ///
  /// `parallel: false` stays on the calling thread, for callers that already use all cores.
  public static func multiplyTransposed(
    rows: Int, columns: Int, inner: Int, _ a: Span<UInt64>, aStride: Int, _ b: Span<UInt64>,
    bStride: Int, into c: inout MutableSpan<UInt64>, cStride: Int, accumulate: Bool = false,
    parallel: Bool = true, arm: KernelArm = .best
  ) {
    check(rows: columns, columns: inner, stride: bStride, count: b.count)
    run(
      rows: rows, columns: columns, inner: inner, a, aStride: aStride, b, bStride: bStride,
      into: &c, cStride: cStride, accumulate: accumulate, parallel: parallel,
      arm: arm, isTransposed: true)
  }

  /// c = a b, or c += a b where `accumulate`; a is [rows, inner], b is [inner, columns] and c is
  /// [rows, columns].
  ///
  /// `parallel: false` stays on the calling thread, for callers that already use all cores.
  public static func multiply(
    rows: Int, columns: Int, inner: Int, _ a: Span<UInt64>, aStride: Int, _ b: Span<UInt64>,
    bStride: Int, into c: inout MutableSpan<UInt64>, cStride: Int, accumulate: Bool = false,
    parallel: Bool = true, arm: KernelArm = .best
  ) {
    check(rows: inner, columns: columns, stride: bStride, count: b.count)
    run(
      rows: rows, columns: columns, inner: inner, a, aStride: aStride, b, bStride: bStride,
      into: &c, cStride: cStride, accumulate: accumulate, parallel: parallel,
      arm: arm, isTransposed: false)
  }

  /// Traps unless a matrix of this shape lies inside a span of `count` elements.
  private static func check(rows: Int, columns: Int, stride: Int, count: Int) {
    precondition(rows >= 0 && columns >= 0, "a shape is not negative")
    guard rows > 0, columns > 0 else { return }
    precondition(rows == 1 || stride >= columns, "rows must not overlap")
    precondition((rows - 1) * stride + columns <= count, "the matrix is larger than its span")
  }

  private static func run(
    rows: Int, columns: Int, inner: Int, _ a: Span<UInt64>, aStride: Int, _ b: Span<UInt64>,
    bStride: Int, into c: inout MutableSpan<UInt64>, cStride: Int, accumulate: Bool,
    parallel: Bool, arm: KernelArm, isTransposed: Bool
  ) {
    check(rows: rows, columns: inner, stride: aStride, count: a.count)
    check(rows: rows, columns: columns, stride: cStride, count: c.count)
    let kernels = arm.kernels
    let kernel = unsafe isTransposed ? kernels.multiply_transposed : kernels.multiply
    // How far one column of c moves in b.
    let columnStep = isTransposed ? bStride : 1
    guard rows > 0, columns > 0 else { return }
    let isSplit =
      parallel && Double(rows) * Double(columns) * Double(inner) > Double(parallelThreshold)
    // Whole register tiles: 8 rows, or 192 columns (a multiple of 24 and of 64).
    let rowChunk = isSplit && rows >= 16 ? roundUp(rows, pieces: 16, multipleOf: 8) : rows
    let columnChunk =
      isSplit && rows < 16 ? roundUp(columns, pieces: 32, multipleOf: 192) : columns
    let columnPieces = (columns + columnChunk - 1) / columnChunk
    let rowPieces = (rows + rowChunk - 1) / rowChunk
    unsafe a.withUnsafeBufferPointer { a in
      unsafe b.withUnsafeBufferPointer { b in
        unsafe c.withUnsafeMutableBufferPointer { c in
          Parallel.forEachChunk(count: rowPieces * columnPieces, chunk: 1) { piece in
            let row = piece.lowerBound / columnPieces * rowChunk
            let column = piece.lowerBound % columnPieces * columnChunk
            unsafe kernel(
              min(rowChunk, rows - row), min(columnChunk, columns - column), inner,
              offset(a.baseAddress, row * aStride), aStride,
              offset(b.baseAddress, column * columnStep), bStride,
              c.baseAddress.map { unsafe $0 + (row * cStride + column) }, cStride,
              accumulate ? 1 : 0)
          }
        }
      }
    }
  }

  private static func offset(_ base: UnsafePointer<UInt64>?, _ count: Int) -> UnsafePointer<UInt64>?
  {
    unsafe base.map { unsafe $0 + count }
  }

  private static func roundUp(_ count: Int, pieces: Int, multipleOf unit: Int) -> Int {
    (count + pieces * unit - 1) / (pieces * unit) * unit
  }
}
