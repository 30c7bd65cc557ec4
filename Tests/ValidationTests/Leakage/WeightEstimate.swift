// Estimates of a weight matrix from many queries: least squares, and spans of what was seen.

import Approximation
import Models
import TestSupport

/// Queries with inputs of a linear layer and its outputs, whose order is not known.
struct WeightEstimate {
  /// By query the inputs, or changes of them.
  var inputs: [[Double]]
  /// By query the outputs; in ascending order where `isSorted`.
  var outputs: [[Double]]
  /// Whether outputs are told apart by their size alone.
  var isSorted = true

  /// The weights, [outputs][inputs], with outputs in the order that they have in the mean; nil where
  /// queries are too few.
  ///
  /// Outputs of a query are first taken to lie as in all others. The map that fits best predicts them,
  /// and they are then put in the order of the predictions, until that changes nothing.
  func weights(passes: Int = 12) -> [[Double]]? {
    guard
      let (width, count) = inputs.first.flatMap({ x in outputs.first.map { (x.count, $0.count) } }),
      inputs.count > width
    else { return nil }
    let means = (mean(inputs), mean(outputs))
    var x = zip(inputs, Array(repeating: means.0, count: inputs.count)).map(difference)
    // In units of the largest, beside which neither the penalty nor single precision matters.
    let largest = x.reduce(0) { max($0, $1.map(abs).max() ?? 0) } + 0x1p-100
    for index in x.indices { x[index] = x[index].map { $0 / largest } }
    var y = zip(outputs, Array(repeating: means.1, count: outputs.count)).map(difference)
    var solution: [Double] = []
    var orders = [[Int]](repeating: Array(0..<count), count: x.count)
    for _ in 0..<(isSorted ? passes : 1) {
      var regression = RidgeRegression(inputs: width, outputs: count, hasBias: true)
      regression.add(x.flatMap { $0 }, y.flatMap { $0 }, rowCount: x.count)
      guard let found = regression.solution(penalty: 1e-12) else { return nil }
      solution = found
      let predicted = predictions(x, solution, width: width, count: count)
      var isSettled = true
      for query in x.indices {
        let guess = (0..<count).map { means.1[$0] + Double(predicted[query * count + $0]) }
        let order = (0..<count).sorted { guess[$0] < guess[$1] }
        if order == orders[query] { continue }
        isSettled = false
        orders[query] = order
        for (rank, output) in order.enumerated() {
          y[query][output] = outputs[query][rank] - means.1[output]
        }
      }
      if isSettled { break }
    }
    return (0..<count).map { output in
      (0..<width).map { solution[$0 * count + output] / largest }
    }
  }

  private func predictions(_ x: [[Double]], _ solution: [Double], width: Int, count: Int)
    -> [Float]
  {
    MatrixProduct.affine(
      FloatMatrix(
        rowCount: x.count, columnCount: width, values: x.flatMap { $0.map { Float($0) } }),
      LinearWeights(
        matrix: (0..<count).flatMap { output in
          (0..<width).map { Float(solution[$0 * count + output]) }
        },
        bias: (0..<count).map { Float(solution[width * count + $0]) }))
  }

  private func mean(_ rows: [[Double]]) -> [Double] {
    var sum = [Double](repeating: 0, count: rows[0].count)
    for row in rows { for index in sum.indices { sum[index] += row[index] } }
    return sum.map { $0 / Double(rows.count) }
  }

  private func difference(_ left: [Double], _ right: [Double]) -> [Double] {
    zip(left, right).map { $0 - $1 }
  }

  /// |c A - B| / |B| for the best number c: 1 where A says nothing of B.
  static func relativeError(_ estimate: [[Double]], _ truth: [[Double]]) -> Double {
    var (product, square, size) = (0.0, 0.0, 0.0)
    for (left, right) in zip(estimate, truth) {
      for (a, b) in zip(left, right) {
        product += a * b
        square += a * a
        size += b * b
      }
    }
    guard square > 0 else { return 1 }
    return max(0, 1 - product * product / (square * size)).squareRoot()
  }
}

/// The directions in which rows vary most: with rows W x those that the columns of W span.
struct Span {
  /// Orthonormal.
  private(set) var directions: [[Double]]

  /// The `count` strongest directions of `rows` about their mean, by iteration on the whole subspace.
  init(_ rows: [[Double]], count: Int, iterations: Int = 30) {
    let width = rows[0].count
    var mean = [Double](repeating: 0, count: width)
    for row in rows { for index in mean.indices { mean[index] += row[index] / Double(rows.count) } }
    let centred = rows.map { row in zip(row, mean).map { $0 - $1 } }
    let scale = 1 / (centred.reduce(0) { max($0, $1.map(abs).max() ?? 0) } + 1e-300)
    let matrix = centred.flatMap { $0.map { Float($0 * scale) } }
    var transposed = [Float](repeating: 0, count: matrix.count)
    for row in rows.indices {
      for column in 0..<width {
        transposed[column * rows.count + row] = matrix[row * width + column]
      }
    }
    var state = SplitMix(1)
    directions = (0..<count).map { _ in
      (0..<width).map { _ in Double(Int64(bitPattern: state.next())) * 0x1p-63 }
    }
    orthonormalise()
    for _ in 0..<iterations {
      // directions A^T, then that times A.
      let images = MatrixProduct.affine(
        FloatMatrix(
          rowCount: count, columnCount: width, values: directions.flatMap { $0.map { Float($0) } }),
        LinearWeights(matrix: matrix, bias: nil))
      let next = MatrixProduct.affine(
        FloatMatrix(rowCount: count, columnCount: rows.count, values: images),
        LinearWeights(matrix: transposed, bias: nil))
      directions = (0..<count).map { index in
        next[index * width..<(index + 1) * width].map { Double($0) }
      }
      orthonormalise()
    }
  }

  private mutating func orthonormalise() {
    for index in directions.indices {
      for _ in 0..<2 {
        for other in 0..<index {
          let product = zip(directions[index], directions[other]).reduce(0) { $0 + $1.0 * $1.1 }
          for place in directions[index].indices {
            directions[index][place] -= product * directions[other][place]
          }
        }
      }
      let size = directions[index].reduce(0) { $0 + $1 * $1 }.squareRoot() + 1e-300
      for place in directions[index].indices { directions[index][place] /= size }
    }
  }

  /// How much of the columns of `matrix`, [outputs][inputs], lies in the span, of 1.
  func share(of matrix: [[Double]]) -> Double {
    var (inside, all) = (0.0, 0.0)
    for column in matrix[0].indices {
      let values = matrix.map { $0[column] }
      all += values.reduce(0) { $0 + $1 * $1 }
      for direction in directions {
        let product = zip(values, direction).reduce(0) { $0 + $1.0 * $1.1 }
        inside += product * product
      }
    }
    return inside / all
  }
}
