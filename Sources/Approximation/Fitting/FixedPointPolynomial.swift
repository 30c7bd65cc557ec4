// Polynomials with integer coefficients, for the polynomial primitive.

import Foundation

/// A polynomial with integer coefficients for an integer argument T = u * 2^argumentBits.
///
/// sum over i of coefficients[i] * T^i equals p(u) * 2^resultBits.
public struct FixedPointPolynomial: Equatable, Sendable {
  public var coefficients: [Int]
  public var argumentBits: Int
  public var resultBits: Int
  /// Largest distance to the polynomial that was rounded, for exact arguments.
  public var maximumError: Double

  /// Rounds the polynomial with these coefficients of u on an `interval` within [-1, 1].
  ///
  /// The highest coefficient is rounded first, and what that changes is made up for by the lower
  /// ones: of all polynomials with a given u^d, u^d less a multiple of the interval's Chebyshev
  /// polynomial of degree d is best approximated by lower degrees.
  public init(
    rounding exact: [Double], argumentBits: Int, resultBits: Int, on interval: ClosedRange<Double>
  ) {
    self.argumentBits = argumentBits
    self.resultBits = resultBits
    var rest = exact
    coefficients = [Int](repeating: 0, count: exact.count)
    for power in exact.indices.reversed() {
      let scale = pow(2, Double(resultBits - power * argumentBits))
      let rounded = (rest[power] * scale).rounded()
      precondition(abs(rounded) < 0x1p62, "a coefficient must fit the ring")
      coefficients[power] = Int(rounded)
      let missing = rest[power] - rounded / scale
      rest[power] = 0
      let chebyshev = FixedPointPolynomial.monicChebyshev(power, on: interval)
      for lower in 0..<power { rest[lower] -= missing * chebyshev[lower] }
    }
    maximumError = 0
    for step in 0...256 {
      let u =
        interval.lowerBound
        + (interval.upperBound - interval.lowerBound) * Double(step) / 256
      let value = exact.reversed().reduce(0) { $0 * u + $1 }
      maximumError = max(maximumError, abs(self(u) - value))
    }
  }

  /// Coefficients of the Chebyshev polynomial of `degree` on `interval`, scaled to lead with 1.
  private static func monicChebyshev(_ degree: Int, on interval: ClosedRange<Double>) -> [Double] {
    let middle = (interval.lowerBound + interval.upperBound) / 2
    let half = max((interval.upperBound - interval.lowerBound) / 2, 1e-30)
    // Monic recurrence in u: C_1 = u - middle, C_2 = (u - middle) C_1 - half^2 / 2, then
    // C_(k+1) = (u - middle) C_k - half^2 / 4 C_(k-1).
    var previous = [1.0]
    if degree == 0 { return previous }
    var current = [-middle, 1.0]
    for power in 1..<max(degree, 1) {
      let factor = half * half / (power == 1 ? 2 : 4)
      var next = [0.0] + current
      for index in current.indices { next[index] -= middle * current[index] }
      for index in previous.indices { next[index] -= factor * previous[index] }
      previous = current
      current = next
    }
    return current
  }

  /// The polynomial's real value at `u`, without rounding of the argument.
  public func callAsFunction(_ u: Double) -> Double {
    let argument = u * pow(2, Double(argumentBits))
    return coefficients.reversed().reduce(0) { $0 * argument + Double($1) }
      / pow(2, Double(resultBits))
  }
}
