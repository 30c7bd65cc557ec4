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

public enum RingProduct {
  /// a b^T, row-major [rows, columns]: a is [rows, inner], b is [columns, inner].
  public static func transposed(
    _ a: MatrixSlice, _ b: MatrixSlice, rows: Int, columns: Int, inner: Int
  ) -> [UInt64] {
    var result = [UInt64](repeating: 0, count: rows * columns)
    for row in 0..<rows {
      for column in 0..<columns {
        var sum: UInt64 = 0
        for index in 0..<inner {
          sum &+= a.words[a.offset + row * a.stride + index]
            &* b.words[b.offset + column * b.stride + index]
        }
        result[row * columns + column] = sum
      }
    }
    return result
  }

  /// a b, row-major [rows, columns]: a is [rows, inner], b is [inner, columns].
  public static func plain(
    _ a: MatrixSlice, _ b: MatrixSlice, rows: Int, columns: Int, inner: Int
  ) -> [UInt64] {
    var result = [UInt64](repeating: 0, count: rows * columns)
    for row in 0..<rows {
      for index in 0..<inner {
        let factor = a.words[a.offset + row * a.stride + index]
        if factor == 0 { continue }
        for column in 0..<columns {
          result[row * columns + column] &+= factor
            &* b.words[b.offset + index * b.stride + column]
        }
      }
    }
    return result
  }
}
