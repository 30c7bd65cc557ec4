// Minimax polynomials by the Remez exchange.

import Foundation

/// A polynomial in the monomial basis with its maximum error on the interval it was fitted on.
public struct MinimaxPolynomial: Equatable, Sendable {
  /// Coefficient i multiplies t^i.
  public var coefficients: [Double]
  /// Largest |polynomial - function| on the interval, measured on a dense grid.
  public var maximumError: Double

  public init(coefficients: [Double], maximumError: Double) {
    self.coefficients = coefficients
    self.maximumError = maximumError
  }

  /// Horner evaluation at `t`.
  public func callAsFunction(_ t: Double) -> Double {
    coefficients.reversed().reduce(0) { $0 * t + $1 }
  }

  /// The polynomial of `degree` with the smallest maximum error against a smooth `function`.
  ///
  /// Remez, single exchange over a grid of Chebyshev points; intervals within [-1, 1] keep the
  /// monomial basis well conditioned for the degrees that are used here (up to 8).
  public static func fit(
    degree: Int, on interval: ClosedRange<Double>, _ function: (Double) -> Double
  ) -> MinimaxPolynomial {
    let gridCount = 4000
    let middle = (interval.lowerBound + interval.upperBound) / 2
    let half = (interval.upperBound - interval.lowerBound) / 2
    let grid = (0...gridCount).map { middle - half * cos(.pi * Double($0) / Double(gridCount)) }
    let values = grid.map(function)
    var reference = (0...degree + 1).map { $0 * gridCount / (degree + 1) }
    var best = MinimaxPolynomial(coefficients: [], maximumError: .infinity)
    for _ in 0..<40 {
      // p(t_i) + (-1)^i e = f(t_i) for the degree + 2 points of the reference.
      let rows = reference.enumerated().map { index, point in
        (0...degree).map { pow(grid[point], Double($0)) } + [index % 2 == 0 ? 1 : -1]
      }
      guard let solution = solve(rows, reference.map { values[$0] }) else { break }
      var candidate = MinimaxPolynomial(
        coefficients: Array(solution.dropLast()), maximumError: 0)
      let errors = grid.indices.map { candidate(grid[$0]) - values[$0] }
      candidate.maximumError = errors.reduce(0) { max($0, abs($1)) }
      let improved = candidate.maximumError < best.maximumError * (1 - 1e-9)
      if candidate.maximumError < best.maximumError { best = candidate }
      guard improved else { break }
      reference = alternation(errors, count: degree + 2)
    }
    return best
  }

  /// `count` grid points where the error alternates in sign and is largest in between.
  private static func alternation(_ errors: [Double], count: Int) -> [Int] {
    var extrema: [Int] = []
    for index in errors.indices {
      guard let last = extrema.last else {
        extrema.append(index)
        continue
      }
      if (errors[index] >= 0) == (errors[last] >= 0) {
        if abs(errors[index]) > abs(errors[last]) { extrema[extrema.count - 1] = index }
      } else {
        extrema.append(index)
      }
    }
    // Too many: drop the weaker end, which keeps the signs alternating.
    while extrema.count > count {
      if abs(errors[extrema[0]]) < abs(errors[extrema[extrema.count - 1]]) {
        extrema.removeFirst()
      } else {
        extrema.removeLast()
      }
    }
    while extrema.count < count {
      // Too few (a degenerate error): fall back to points between the last two.
      let missing = (extrema.last ?? 0) + 1
      extrema.append(min(missing, errors.count - 1))
    }
    return extrema
  }

  /// Gaussian elimination with partial pivoting; nil when the matrix is singular.
  static func solve(_ matrix: [[Double]], _ right: [Double]) -> [Double]? {
    let count = right.count
    var rows = zip(matrix, right).map { $0 + [$1] }
    for column in 0..<count {
      guard
        let pivot = (column..<count).max(by: { abs(rows[$0][column]) < abs(rows[$1][column]) }),
        abs(rows[pivot][column]) > 1e-300
      else { return nil }
      rows.swapAt(column, pivot)
      for row in column + 1..<count {
        let factor = rows[row][column] / rows[column][column]
        if factor == 0 { continue }
        for index in column...count { rows[row][index] -= factor * rows[column][index] }
      }
    }
    var result = [Double](repeating: 0, count: count)
    for row in stride(from: count - 1, through: 0, by: -1) {
      var sum = rows[row][count]
      for column in row + 1..<count { sum -= rows[row][column] * result[column] }
      result[row] = sum / rows[row][row]
    }
    return result
  }
}
