// ReLU, and GeLU as x/2 + P(|x|) inside a limit and ReLU outside.

import Approximation
import Bytes
import Foundation

extension Lowering {
  /// Activations may take the wrong side of a knot this close to it: both pieces agree there up to
  /// that much, on a share of inputs about as small.
  static let activationResolution = 0x1p-8

  /// max(x, 0), truncated to the usual scale in the same round.
  mutating func relu(_ x: FixedValue) throws(InputError) -> FixedValue {
    try builder.piecewise(
      x, bits: bits, resolution: Lowering.activationResolution, knots: [0],
      outputs: [(slopes: [0, 1], intercepts: [0, 0], extraBits: 0, bound: x.bound)])[0]
  }

  /// f(x) = L(x) + P(a) for GeLU and SiLU: a = min(|x|, T), P the minimax fit of `even`, which is
  /// f(a) - a/2, and L(x) = x/2 inside -T ... T and ReLU(x) - P(T) outside, where ReLU is exact.
  ///
  /// One comparison key gives a and L in the first round.
  mutating func evenPart(
    _ x: FixedValue, degree: Int, limit: Double, _ even: (Double) -> Double
  ) throws(InputError) -> FixedValue {
    let half = limit / 2
    let argument = unitArgument(-half...half)
    let fit = MinimaxPolynomial.fit(degree: degree, on: argument.interval) { unit in
      even(unit * argument.scale + half)
    }
    let tail = fit(argument.interval.upperBound)
    let pieces = try builder.piecewise(
      x, bits: bits + 4, resolution: Lowering.activationResolution, knots: [-limit, 0, limit],
      outputs: [
        (
          slopes: [0, -1, 1, 0], intercepts: [half, -half, -half, half], extraBits: 0,
          bound: half * 1.01
        ),
        (
          slopes: [0, 0.5, 0.5, 1], intercepts: [-tail, 0, 0, -tail], extraBits: 1,
          bound: x.bound
        ),
      ])
    let centred = try splitPolynomial(
      pieces[0], fit, exponent: argument.exponent, bound: half * 1.01)
    return try builder.add(
      centred, builder.rescale(pieces[1], to: 2 * bits), bound: x.bound + 1)
  }

  /// p(u) = A(u) + u^s B(u) for u = value / 2^exponent in [-1, 1], s half the degree, with twice the
  /// usual bits.
  ///
  /// Both halves have half the degree: for degree 6 u keeps 14 fractional bits and coefficients as
  /// many, where the whole polynomial in one round would leave u 9 bits. The product takes the
  /// round that truncates A.
  private mutating func splitPolynomial(
    _ value: FixedValue, _ fit: MinimaxPolynomial, exponent: Int, bound: Double
  ) throws(InputError) -> FixedValue {
    let split = (fit.coefficients.count - 1) / 2
    let halves = [
      Array(fit.coefficients[..<split]), Array(fit.coefficients[split...]),
      [Double](repeating: 0, count: split) + [1],
    ]
    let reaches = halves.map { half in half.reversed().reduce(0) { $0 + abs($1) } }
    let longest = halves.map(\.count).max() ?? 1
    let resultBits = reaches.map { 61 - max(Int(log2($0).rounded(.up)), 0) }
    let argumentBits = min((resultBits.min() ?? 0) / longest, value.bits + exponent)
    let view = try builder.open(value, bits: argumentBits - exponent)
    let coefficients = zip(halves, resultBits).map { half, bits in
      half.enumerated().map { power, coefficient in
        UInt64(
          bitPattern: Int64((coefficient * pow(2, Double(bits - power * argumentBits))).rounded()))
      }
    }
    let parts = zip(
      try builder.emit(.polynomial(view.id, coefficients: coefficients), bits: resultBits),
      zip(resultBits, reaches)
    ).map { FixedValue(id: $0, bits: $1.0, bound: $1.1) }
    let product = try builder.emit(
      .multiply(builder.open(parts[1], bits: bits).id, builder.open(parts[2], bits: bits).id),
      bits: 2 * bits, bound: reaches[1])
    return try builder.add(
      builder.rescale(parts[0], to: 2 * bits), product, bound: bound)
  }

  /// The interval divided by the power of two that brings it into [-1, 1].
  private func unitArgument(_ interval: ClosedRange<Double>)
    -> (exponent: Int, scale: Double, interval: ClosedRange<Double>)
  {
    let reach = max(abs(interval.lowerBound), abs(interval.upperBound))
    let exponent = Int(log2(reach).rounded(.up))
    let scale = pow(2, Double(exponent))
    return (exponent, scale, interval.lowerBound / scale...interval.upperBound / scale)
  }

  /// A polynomial of a value within `interval`, in one round.
  ///
  /// The argument is scaled into [-1, 1] by a power of two and keeps as many fractional bits as
  /// degree and coefficients leave of the ring.
  mutating func polynomial(
    _ value: FixedValue, degree: Int, bound: Double, on interval: ClosedRange<Double>,
    _ function: (Double) -> Double
  ) throws(InputError) -> FixedValue {
    let unit = unitArgument(interval)
    let resultBits = 61 - max(Int(log2(bound).rounded(.up)), 0)
    // More bits for the argument leave fewer for the highest coefficients: take the best of both.
    let most = min((resultBits - 2) / degree, value.bits + unit.exponent)
    let steepness =
      (0...64).map { index -> Double in
        let t =
          interval.lowerBound + (interval.upperBound - interval.lowerBound) * Double(index) / 64
        return abs(function(t + 1e-6) - function(t - 1e-6)) / 2e-6 * unit.scale
      }.max() ?? 1
    let fits = (max(most - 4, 1)...most).map { argumentBits in
      FixedPointPolynomial.fit(
        degree: degree, argumentBits: argumentBits, resultBits: resultBits, on: unit.interval
      ) { function($0 * unit.scale) }
    }
    func error(_ fit: FixedPointPolynomial) -> Double {
      fit.maximumError + steepness * pow(2, Double(-fit.argumentBits - 1))
    }
    guard let fit = fits.min(by: { error($0) < error($1) }) else { return value }
    let argumentBits = fit.argumentBits
    // value / 2^exponent with argumentBits is value with argumentBits - exponent.
    let argument = try builder.open(value, bits: argumentBits - unit.exponent)
    let coefficients = fit.coefficients.map { UInt64(bitPattern: Int64($0)) }
    return try builder.emit(
      .polynomial(argument.id, coefficients: [coefficients]), bits: resultBits, bound: bound)
  }
}
