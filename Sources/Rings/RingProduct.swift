// Matrix products modulo 2^64 on parts of arrays.

/// A matrix inside an array: row i starts at offset + i * stride.
public struct MatrixSlice: Sendable {
  public var words: [UInt64]
  public var offset: Int
  public var stride: Int

  public init(_ words: [UInt64], offset: Int = 0, stride: Int) {
    self.words = words
    self.offset = offset
    self.stride = stride
  }
}

/// `RingMatrixProduct` on slices of arrays.
public enum RingProduct {
  /// a b^T, row-major [rows, columns]: a is [rows, inner], b is [columns, inner].
  public static func transposed(
    _ a: MatrixSlice, _ b: MatrixSlice, rows: Int, columns: Int, inner: Int
  ) -> [UInt64] {
    var result = [UInt64](repeating: 0, count: rows * columns)
    var span = result.mutableSpan
    RingMatrixProduct.multiplyTransposed(
      rows: rows, columns: columns, inner: inner, a.words.span.extracting(droppingFirst: a.offset),
      aStride: a.stride, b.words.span.extracting(droppingFirst: b.offset), bStride: b.stride,
      into: &span, cStride: columns)
    return result
  }

  /// a b, row-major [rows, columns]: a is [rows, inner], b is [inner, columns].
  public static func plain(
    _ a: MatrixSlice, _ b: MatrixSlice, rows: Int, columns: Int, inner: Int
  ) -> [UInt64] {
    var result = [UInt64](repeating: 0, count: rows * columns)
    var span = result.mutableSpan
    RingMatrixProduct.multiply(
      rows: rows, columns: columns, inner: inner, a.words.span.extracting(droppingFirst: a.offset),
      aStride: a.stride, b.words.span.extracting(droppingFirst: b.offset), bStride: b.stride,
      into: &span, cStride: columns)
    return result
  }
}
