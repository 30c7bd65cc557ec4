// One polynomial of a piecewise function, about a centre of its own.

import Bytes
import Foundation

/// p(t) = sum over i of coefficients[i] * u^i with u = (t - centre) / scale.
public struct PolynomialPiece: Equatable, Sendable {
  public var centre: Double
  /// Positive.
  public var scale: Double
  public var coefficients: [Double]

  public init(centre: Double, scale: Double, coefficients: [Double]) {
    self.centre = centre
    self.scale = scale
    self.coefficients = coefficients
  }

  /// slope * t + intercept.
  public static func line(_ slope: Double, _ intercept: Double) -> PolynomialPiece {
    PolynomialPiece(
      centre: 0, scale: 1, coefficients: slope == 0 ? [intercept] : [intercept, slope])
  }

  /// The polynomial sum over i of monomials[i] * t^i, expanded about the middle of `interval`.
  public static func monomials(_ monomials: [Double], on interval: ClosedRange<Double>)
    -> PolynomialPiece
  {
    let (centre, _, scale) = frame(interval)
    var shifted = [Double](repeating: 0, count: monomials.count)
    // Horner's scheme on polynomials: p = p * (centre + scale u) + coefficient.
    for coefficient in monomials.reversed() {
      var next = shifted.map { $0 * centre }
      for power in next.indices.dropFirst() { next[power] += shifted[power - 1] * scale }
      next[0] += coefficient
      shifted = next
    }
    return PolynomialPiece(centre: centre, scale: scale, coefficients: shifted)
  }

  /// The minimax polynomial of `degree` for `function` on `interval`, about `centre` or its middle.
  public static func minimax(
    degree: Int, on interval: ClosedRange<Double>, centre: Double? = nil,
    _ function: (Double) -> Double
  ) -> PolynomialPiece {
    let (middle, _, _) = frame(interval)
    let centre = centre ?? middle
    let reach = max(interval.upperBound - centre, centre - interval.lowerBound)
    let scale = powerOfTwo(above: reach)
    let fit = MinimaxPolynomial.fit(
      degree: degree,
      on: (interval.lowerBound - centre) / scale...(interval.upperBound - centre) / scale
    ) { function($0 * scale + centre) }
    return PolynomialPiece(centre: centre, scale: scale, coefficients: fit.coefficients)
  }

  /// Middle, half width, and the power of two that brings the interval into [-1, 1].
  static func frame(_ interval: ClosedRange<Double>) -> (
    centre: Double, half: Double, scale: Double
  ) {
    let half = (interval.upperBound - interval.lowerBound) / 2
    return (
      (interval.lowerBound + interval.upperBound) / 2, half, powerOfTwo(above: half)
    )
  }

  /// The smallest power of two that is at least `value`.
  static func powerOfTwo(above value: Double) -> Double {
    value > 0 ? pow(2, log2(value).rounded(.up)) : 1
  }

  /// Horner evaluation at `t`.
  public func callAsFunction(_ t: Double) -> Double {
    let u = (t - centre) / scale
    return coefficients.reversed().reduce(0) { $0 * u + $1 }
  }

  public var degree: Int { coefficients.lastIndex { $0 != 0 } ?? 0 }

  /// Slope and intercept of a polynomial of degree 0 or 1, else nil.
  public var line: (slope: Double, intercept: Double)? {
    guard degree <= 1 else { return nil }
    let slope = coefficients.count > 1 ? coefficients[1] / scale : 0
    return (slope, (coefficients.first ?? 0) - slope * centre)
  }

  /// The coefficients of powers of t - `point`.
  public func coefficients(about point: Double) -> [Double] {
    let start = (point - centre) / scale
    var result = [Double](repeating: 0, count: coefficients.count)
    // Horner's scheme on polynomials of (t - point) / scale.
    for coefficient in coefficients.reversed() {
      for power in result.indices.reversed() {
        result[power] = result[power] * start + (power > 0 ? result[power - 1] : 0)
      }
      result[0] += coefficient
    }
    return result.enumerated().map { $1 / pow(scale, Double($0)) }
  }

  /// p(-t).
  var mirrored: PolynomialPiece {
    PolynomialPiece(
      centre: -centre, scale: scale,
      coefficients: coefficients.enumerated().map { $0 % 2 == 0 ? $1 : -$1 })
  }

  /// p(t) + slope * t.
  func adding(slope: Double) -> PolynomialPiece {
    var result = self
    while result.coefficients.count < 2 { result.coefficients.append(0) }
    result.coefficients[0] += slope * centre
    result.coefficients[1] += slope * scale
    return result
  }

  /// An upper bound of |p''| for |t - centre| <= `reach`.
  func curvatureBound(reach: Double) -> Double {
    let u = reach / scale
    var bound = 0.0
    for (power, coefficient) in coefficients.enumerated() where power >= 2 {
      bound += abs(coefficient) * Double(power * (power - 1)) * pow(u, Double(power - 2))
    }
    return bound / (scale * scale)
  }
}

extension PolynomialPiece {
  var json: JSON {
    [
      "centre": .number(centre), "scale": .number(scale),
      "coefficients": .array(coefficients.map(JSON.number)),
    ]
  }

  /// Most coefficients: the polynomial primitive ends at degree 8.
  static let maximumCount = 9

  init(json: JSON, source: String, place: String) throws(InputError) {
    var reader = try JSONReader(json, source: source, place: place)
    centre = try reader.number("centre")
    scale = try reader.number("scale")
    coefficients = try reader.numbers("coefficients")
    guard scale > 0 else { throw reader.failure("scale", "\(scale) is not positive") }
    guard (1...PolynomialPiece.maximumCount).contains(coefficients.count) else {
      throw reader.failure(
        "coefficients",
        "\(coefficients.count) of them, expected 1 to \(PolynomialPiece.maximumCount)"
      )
    }
    try reader.finish()
  }
}
