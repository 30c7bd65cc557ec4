// ReLU, and GeLU as x/2 + P(|x|) inside a limit and ReLU outside.

import Approximation
import Bytes
import Foundation

extension Lowering {
  /// max(x, 0), truncated to the usual scale in the same round.
  mutating func relu(_ x: FixedValue) throws(InputError) -> FixedValue {
    try builder.piecewise(
      x, bits: bits, resolution: 0x1p-11, knots: [0],
      outputs: [(slopes: [0, 1], intercepts: [0, 0], extraBits: 0, bound: x.bound)])[0]
  }

  /// GeLU(x) = L(x) + P(a) with a = min(|x|, T) and L(x) = x/2 + max(|x| - T, 0)/2.
  ///
  /// P approximates GeLU(a) - a/2 on 0 ... T, an even function; beyond T the sum is ReLU(x) up to
  /// the error of P at T. One comparison key gives a and L in the first round.
  mutating func gelu(_ x: FixedValue) throws(InputError) -> FixedValue {
    let limit = recipe.geluLimit
    let half = limit / 2
    let pieces = try builder.piecewise(
      x, bits: bits + 4, resolution: 0x1p-11, knots: [-limit, 0, limit],
      outputs: [
        (
          slopes: [0, -1, 1, 0], intercepts: [half, -half, -half, half], extraBits: 0,
          bound: half * 1.01
        ),
        (
          slopes: [0, 0.5, 0.5, 1], intercepts: [-half, 0, 0, -half], extraBits: 1,
          bound: x.bound
        ),
      ])
    let even = try polynomial(
      pieces[0], degree: recipe.geluDegree, bound: half * 1.01, on: -half...half) { centred in
      let a = centred + half
      return a / 2 * erf(a / 2.0.squareRoot())
    }
    return try builder.add(
      builder.rescale(even, to: 2 * bits), builder.rescale(pieces[1], to: 2 * bits),
      bound: x.bound + 1)
  }

  /// A polynomial of a value within `interval`, in one round.
  ///
  /// The argument is scaled into [-1, 1] by a power of two and keeps as many fractional bits as
  /// degree and coefficients leave of the ring.
  mutating func polynomial(
    _ value: FixedValue, degree: Int, bound: Double, on interval: ClosedRange<Double>,
    _ function: (Double) -> Double
  ) throws(InputError) -> FixedValue {
    let reach = max(abs(interval.lowerBound), abs(interval.upperBound))
    let exponent = Int(log2(reach).rounded(.up))
    let scale = pow(2, Double(exponent))
    let resultBits = 61 - max(Int(log2(bound).rounded(.up)), 0)
    // Lower coefficients make up for the rounding of the highest one, which needs few bits.
    let argumentBits = min((resultBits - 6) / degree, value.bits + exponent)
    let fit = FixedPointPolynomial.fit(
      degree: degree, argumentBits: argumentBits, resultBits: resultBits,
      on: interval.lowerBound / scale...interval.upperBound / scale
    ) { function($0 * scale) }
    // value / 2^exponent with argumentBits is value with argumentBits - exponent.
    let argument = try builder.open(value, bits: argumentBits - exponent)
    let coefficients = fit.coefficients.map { UInt64(bitPattern: Int64($0)) }
    return try builder.emit(
      .polynomial(argument.id, coefficients: [coefficients]), bits: resultBits, bound: bound)
  }
}
