// Piecewise polynomials with free knots: least squares by density, knots by dynamic programming.

import Foundation

/// Fits of one degree to a function on an interval, with as few pieces as two targets need.
struct PiecewiseFit {
  /// Largest |fit - function| at any point of the grid.
  var maximumError: Double
  /// Root mean square of fit - function over the weights of the grid.
  var rootMeanSquareError: Double

  /// Borders and pieces: piece k lies between borders k and k + 1.
  struct Result {
    var borders: [Double]
    var pieces: [PolynomialPiece]
  }

  /// The function at evenly spaced points, with weights that add up to 1.
  struct Grid {
    var points: [Double]
    var values: [Double]
    var weights: [Double]

    /// `density` gives the share of inputs between two points; a tenth of the weight is spread
    /// evenly, so that no part of the interval is without any.
    init(
      on interval: ClosedRange<Double>, count: Int = 1536, density: (Double, Double) -> Double,
      _ function: (Double) -> Double
    ) {
      let step = (interval.upperBound - interval.lowerBound) / Double(count)
      points = (0...count).map { interval.lowerBound + step * Double($0) }
      points[count] = interval.upperBound
      values = points.map(function)
      var shares = points.map { max(density($0 - step / 2, $0 + step / 2), 0) }
      let total = shares.reduce(0, +)
      if total > 0 { shares = shares.map { 0.9 * $0 / total } }
      let rest = (total > 0 ? 0.1 : 1) / Double(points.count)
      weights = shares.map { $0 + rest }
    }

    /// `count` + 1 grid points to put borders at: dense where lines would be far from the function
    /// and where many inputs are, after de Boor's rule for least squares.
    func candidates(_ count: Int) -> [Int] {
      let inner = points.indices.dropFirst().dropLast()
      let measure = inner.map { index -> Double in
        let curvature = abs(values[index - 1] - 2 * values[index] + values[index + 1])
        return pow(weights[index] * curvature * curvature, 0.2)
      }
      let sum = measure.reduce(0, +)
      // A part of the candidates is spread evenly, for flat stretches.
      let even = max(sum, 1e-300) * 0.3 / Double(measure.count)
      let total = sum + even * Double(measure.count)
      var result = [0]
      var reached = 0.0
      for (offset, index) in inner.enumerated() {
        reached += measure[offset] + even
        if reached / total * Double(count) >= Double(result.count) { result.append(index) }
      }
      if result[result.count - 1] != points.count - 1 { result.append(points.count - 1) }
      return result
    }
  }

  /// The fit of `degree` with the fewest pieces, at most `limit`, or nil where these miss a target.
  func fit(_ grid: Grid, degree: Int, limit: Int) -> Result? {
    let borders = grid.candidates(degree == 1 ? 240 : 96)
    let last = borders.count - 1
    var successors = [[(to: Int, cost: Double)]](repeating: [], count: last)
    for from in 0..<last {
      for to in from + 1...last where borders[to] - borders[from] >= degree + 2 {
        let fit = segment(grid, borders[from]...borders[to], degree: degree)
        guard fit.maximumError <= maximumError else {
          // Longer segments are worse, but for luck at the very beginning.
          if fit.maximumError > 4 * maximumError { break }
          continue
        }
        successors[from].append((to, fit.squares))
      }
    }
    var best = [Double](repeating: .infinity, count: last + 1)
    best[0] = 0
    var previous: [[Int]] = []
    for _ in 0..<limit {
      var next = [Double](repeating: .infinity, count: last + 1)
      var from = [Int](repeating: -1, count: last + 1)
      for start in 0..<last where best[start].isFinite {
        for (end, cost) in successors[start] where best[start] + cost < next[end] {
          next[end] = best[start] + cost
          from[end] = start
        }
      }
      best = next
      previous.append(from)
      if best[last].squareRoot() <= rootMeanSquareError {
        return trace(grid, borders, previous, degree: degree)
      }
    }
    return nil
  }

  private func trace(_ grid: Grid, _ borders: [Int], _ previous: [[Int]], degree: Int) -> Result {
    var ends = [borders.count - 1]
    for from in previous.reversed() { ends.append(from[ends[ends.count - 1]]) }
    let indices = ends.reversed().map { borders[$0] }
    return Result(
      borders: indices.map { grid.points[$0] },
      pieces: zip(indices, indices.dropFirst()).map { low, high in
        segment(grid, low...high, degree: degree).piece
      })
  }

  /// The weighted least squares polynomial of one segment.
  private func segment(_ grid: Grid, _ range: ClosedRange<Int>, degree: Int) -> (
    piece: PolynomialPiece, squares: Double, maximumError: Double
  ) {
    let (centre, _, scale) = PolynomialPiece.frame(
      grid.points[range.lowerBound]...grid.points[range.upperBound])
    var moments = [Double](repeating: 0, count: 2 * degree + 1)
    var right = [Double](repeating: 0, count: degree + 1)
    for index in range {
      let u = (grid.points[index] - centre) / scale
      var term = grid.weights[index]
      let value = grid.values[index]
      for power in moments.indices {
        moments[power] += term
        if power <= degree { right[power] += term * value }
        term *= u
      }
    }
    let total = moments[0]
    let matrix = (0...degree).map { row in
      (0...degree).map { column in
        moments[row + column] / total + (row == column ? 1e-14 : 0)
      }
    }
    let solution = MinimaxPolynomial.solve(matrix, right.map { $0 / total })
    let coefficients = solution ?? [right[0] / total]
    var squares = 0.0
    var largest = 0.0
    for index in range {
      let u = (grid.points[index] - centre) / scale
      var value = 0.0
      for coefficient in coefficients.reversed() { value = value * u + coefficient }
      let error = abs(value - grid.values[index])
      largest = max(largest, error)
      // Points on a border belong to the segment that starts there.
      if index < range.upperBound { squares += grid.weights[index] * error * error }
    }
    return (
      PolynomialPiece(centre: centre, scale: scale, coefficients: coefficients), squares, largest
    )
  }
}
