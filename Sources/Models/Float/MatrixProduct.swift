// Single-precision matrix products by OpenBLAS; the only file that calls it.

import COpenBLAS

/// A matrix inside a row-major array: `rowCount` rows of `columnCount`, `stride` elements apart.
struct MatrixView {
  var offset: Int
  var rowCount: Int
  var columnCount: Int
  var stride: Int

  /// Elements of an array that the view needs.
  fileprivate var end: Int {
    rowCount == 0 ? offset : offset + (rowCount - 1) * stride + columnCount
  }
}

package enum MatrixProduct {
  /// x W^T + b for every row of `input`, row-major [rows, outputs].
  package static func affine(_ input: FloatMatrix, _ weights: LinearWeights) -> [Float] {
    let (rows, inputs) = (input.rowCount, input.columnCount)
    let outputs = weights.matrix.count / max(inputs, 1)
    var result: [Float] = []
    if let bias = weights.bias {
      result.reserveCapacity(rows * outputs)
      for _ in 0..<rows { result += bias }
    } else {
      result = [Float](repeating: 0, count: rows * outputs)
    }
    multiply(
      input.values, MatrixView(offset: 0, rowCount: rows, columnCount: inputs, stride: inputs),
      weights.matrix,
      MatrixView(offset: 0, rowCount: outputs, columnCount: inputs, stride: inputs),
      transposed: true, keep: 1, into: &result,
      MatrixView(offset: 0, rowCount: rows, columnCount: outputs, stride: outputs))
    return result
  }

  /// op(left) op(right), row-major [rows, columns], op being transposition where asked for.
  package static func product(
    _ left: [Float], _ right: [Float], transposingLeft: Bool = false,
    transposingRight: Bool = false, rows: Int, inner: Int, columns: Int
  ) -> [Float] {
    precondition(left.count == rows * inner && right.count == inner * columns)
    var result = [Float](repeating: 0, count: rows * columns)
    guard rows > 0, inner > 0, columns > 0 else { return result }
    unsafe cblas_sgemm(
      CblasRowMajor, transposingLeft ? CblasTrans : CblasNoTrans,
      transposingRight ? CblasTrans : CblasNoTrans, Int32(rows), Int32(columns), Int32(inner), 1,
      left, Int32(transposingLeft ? rows : inner), right,
      Int32(transposingRight ? inner : columns), 0, &result, Int32(columns))
    return result
  }

  /// target = scale * left * op(right) + keep * target, op being transposition where asked for.
  static func multiply(
    _ left: [Float], _ leftView: MatrixView, _ right: [Float], _ rightView: MatrixView,
    transposed: Bool, scale: Float = 1, keep: Float = 0,
    into target: inout [Float], _ targetView: MatrixView
  ) {
    let inner = leftView.columnCount
    precondition(inner == (transposed ? rightView.columnCount : rightView.rowCount))
    precondition(targetView.rowCount == leftView.rowCount)
    precondition(
      targetView.columnCount == (transposed ? rightView.rowCount : rightView.columnCount))
    precondition(
      leftView.end <= left.count && rightView.end <= right.count && targetView.end <= target.count)
    guard targetView.rowCount > 0, targetView.columnCount > 0, inner > 0 else { return }
    unsafe left.withUnsafeBufferPointer { left in
      unsafe right.withUnsafeBufferPointer { right in
        unsafe target.withUnsafeMutableBufferPointer { target in
          guard let leftBase = left.baseAddress, let rightBase = right.baseAddress,
            let targetBase = target.baseAddress
          else { return }
          unsafe cblas_sgemm(
            CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans,
            Int32(targetView.rowCount), Int32(targetView.columnCount), Int32(inner), scale,
            leftBase + leftView.offset, Int32(leftView.stride), rightBase + rightView.offset,
            Int32(rightView.stride), keep, targetBase + targetView.offset,
            Int32(targetView.stride))
        }
      }
    }
  }
}
