// Linear least squares with a penalty, by LAPACK on the normal equations; the only file that calls
// it.

import COpenBLAS

/// Changes D of an affine map that bring X D closest to R, kept small by a penalty.
///
/// minimises |X D - R|^2 + lambda |D|^2 over the rows seen, in double precision; X gets a column of
/// ones where the map has a bias.
package struct RidgeRegression {
  /// Columns of X, the one for the bias included.
  let inputCount: Int
  let outputCount: Int
  private let hasBias: Bool
  /// X^T X, row-major and symmetric.
  private var gram: [Double]
  /// X^T R, row-major [inputCount, outputCount].
  private var moments: [Double]

  package init(inputs: Int, outputs: Int, hasBias: Bool) {
    inputCount = inputs + (hasBias ? 1 : 0)
    outputCount = outputs
    self.hasBias = hasBias
    gram = [Double](repeating: 0, count: inputCount * inputCount)
    moments = [Double](repeating: 0, count: inputCount * outputs)
  }

  /// Adds rows of X, [rowCount, inputs] without the ones, and of R, [rowCount, outputs].
  package mutating func add(_ inputs: [Double], _ residuals: [Double], rowCount: Int) {
    let x = extended(inputs, rowCount: rowCount)
    unsafe cblas_dsyrk(
      CblasRowMajor, CblasUpper, CblasTrans, Int32(inputCount), Int32(rowCount), 1, x,
      Int32(inputCount), 1, &gram, Int32(inputCount))
    unsafe cblas_dgemm(
      CblasRowMajor, CblasTrans, CblasNoTrans, Int32(inputCount), Int32(outputCount),
      Int32(rowCount), 1, x, Int32(inputCount), residuals, Int32(outputCount), 1, &moments,
      Int32(outputCount))
  }

  /// D, row-major [inputCount, outputCount], with lambda = `penalty` times the mean of X's squares;
  /// nil where the system cannot be solved.
  package func solution(penalty: Double) -> [Double]? {
    let squares = (0..<inputCount).reduce(0) { $0 + gram[$1 * inputCount + $1] }
    var matrix = gram
    for index in 0..<inputCount {
      matrix[index * inputCount + index] += penalty * squares / Double(inputCount) + 1e-300
    }
    // LAPACK counts by columns: the upper triangle of rows is its lower one, and the right side of
    // outputCount columns is the transpose.
    var right = [Double](repeating: 0, count: moments.count)
    for row in 0..<inputCount {
      for column in 0..<outputCount {
        right[column * inputCount + row] = moments[row * outputCount + column]
      }
    }
    var (order, columns) = (Int32(inputCount), Int32(outputCount))
    var status: Int32 = 0
    var triangle = CChar(UInt8(ascii: "L"))
    unsafe dposv_(&triangle, &order, &columns, &matrix, &order, &right, &order, &status)
    guard status == 0, right.allSatisfy(\.isFinite) else { return nil }
    var result = [Double](repeating: 0, count: moments.count)
    for row in 0..<inputCount {
      for column in 0..<outputCount {
        result[row * outputCount + column] = right[column * inputCount + row]
      }
    }
    return result
  }

  /// |X D - R|^2 over other rows.
  package func error(
    of solution: [Double], _ inputs: [Double], _ residuals: [Double], rowCount: Int
  )
    -> Double
  {
    var difference = residuals
    unsafe cblas_dgemm(
      CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(rowCount), Int32(outputCount),
      Int32(inputCount), 1, extended(inputs, rowCount: rowCount), Int32(inputCount), solution,
      Int32(outputCount), -1, &difference, Int32(outputCount))
    return difference.reduce(0) { $0 + $1 * $1 }
  }

  private func extended(_ inputs: [Double], rowCount: Int) -> [Double] {
    guard hasBias else { return inputs }
    let width = inputCount - 1
    var result: [Double] = []
    result.reserveCapacity(rowCount * inputCount)
    for row in 0..<rowCount {
      result += inputs[row * width..<(row + 1) * width]
      result.append(1)
    }
    return result
  }
}
