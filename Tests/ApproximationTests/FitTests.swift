// Minimax polynomials and piecewise linear tables against the functions they stand for.

import Approximation
import Foundation
import Testing

struct FitTests {
  /// Even part of GeLU: x/2 + P(|x|).
  static func evenGelu(_ a: Double) -> Double { a / 2 * erf(a / 2.0.squareRoot()) }

  @Test func geluPolynomialReachesItsMinimaxError() {
    // Reference digest, section 6: degree 6 up to 3.5 gives 6.5e-4.
    let fit = MinimaxPolynomial.fit(degree: 6, on: 0...3.5, Self.evenGelu)
    #expect(fit.maximumError < 6.6e-4)
    #expect(fit.maximumError > 6.0e-4)
  }

  @Test(arguments: [(4, 2.7, 0.0017), (5, 3.0, 0.0014), (8, 4.0, 1.2e-4)])
  func otherGeluDegrees(degree: Int, limit: Double, error: Double) {
    let fit = MinimaxPolynomial.fit(degree: degree, on: 0...limit, Self.evenGelu)
    #expect(fit.maximumError < error)
  }

  @Test func errorsAlternate() {
    // degree + 2 extrema of equal size and alternating sign prove that nothing is better.
    let fit = MinimaxPolynomial.fit(degree: 4, on: -0.875...0) { exp($0) }
    let grid = (0...20_000).map { -0.875 * Double($0) / 20_000 }
    let errors = grid.map { fit($0) - exp($0) }
    var extrema: [Double] = []
    for error in errors where abs(error) > 0.999 * fit.maximumError {
      if extrema.last.map({ ($0 > 0) != (error > 0) }) ?? true { extrema.append(error) }
    }
    #expect(extrema.count == 6)
    #expect(fit.maximumError < 7e-6)
  }

  @Test func polynomialsAreRecovered() {
    let fit = MinimaxPolynomial.fit(degree: 3, on: -1...1) { 1 - 2 * $0 + 0.5 * $0 * $0 * $0 }
    for (found, expected) in zip(fit.coefficients, [1, -2, 0, 0.5]) {
      #expect(abs(found - expected) < 1e-12)
    }
  }

  @Test(arguments: [(4, 12, 60), (6, 8, 60), (3, 15, 60), (2, 14, 30)])
  func roundedCoefficientsCostLittle(degree: Int, argumentBits: Int, resultBits: Int) {
    let interval = -0.875...0.9375
    let exact = MinimaxPolynomial.fit(degree: degree, on: interval) { exp($0 / 2) }
    let fixed = FixedPointPolynomial(
      rounding: exact.coefficients, argumentBits: argumentBits, resultBits: resultBits,
      on: interval)
    // The leading coefficient is off by half a unit at most, which lower degrees make up for: a
    // Chebyshev polynomial times that is left.
    let unit = pow(2, Double(degree * argumentBits - resultBits))
    let chebyshev = 2 * pow(0.90625 / 2, Double(degree))
    #expect(fixed.maximumError < unit / 2 * chebyshev * 1.1 + 1e-5)
    let rounded = exact.coefficients.enumerated().map { power, coefficient in
      let scale = pow(2, Double(resultBits - power * argumentBits))
      return (coefficient * scale).rounded() / scale
    }
    func naive(_ u: Double) -> Double { rounded.reversed().reduce(0) { $0 * u + $1 } }
    let naiveError =
      (0...256).map { step -> Double in
        let u = -0.875 + 1.8125 * Double(step) / 256
        return abs(naive(u) - exact(u))
      }.max() ?? 0
    #expect(fixed.maximumError <= naiveError)
    for index in -10...10 {
      let u = 0.0875 * Double(index)
      #expect(abs(fixed(u) - exact(u)) <= fixed.maximumError * 1.01 + 1e-15)
    }
  }

  @Test(arguments: [0x1p-8, 0x1p-12, 0x1p-15])
  func tablesKeepTheirTolerance(tolerance: Double) {
    for (range, function) in [
      (0.75...2048.0, { (x: Double) in 1 / x }),
      (1e-4...1e3, { (x: Double) in 1 / (x + 1e-5).squareRoot() }),
    ] {
      let fit = PiecewiseLinearFit.fit(on: range, tolerance: tolerance, function)
      #expect(fit.maximumRelativeError <= tolerance)
      #expect(fit.slopes.count == fit.knots.count + 1)
      let ratio = range.upperBound / range.lowerBound
      for step in 0...5000 {
        let x = range.lowerBound * pow(ratio, Double(step) / 5000)
        #expect(abs(fit(x) - function(x)) <= 1.01 * tolerance * function(x))
      }
    }
  }
}
