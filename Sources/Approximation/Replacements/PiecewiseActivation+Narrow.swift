// Activations of inputs that all lie near zero: one polynomial, as precise as its values are small.

import Foundation
import Models

extension PiecewiseActivation {
  /// x/2 + P(x^2), of tanh x P(x^2), on what node `node` may read, P the minimax polynomial of least
  /// degree whose error is 2^-14 of the largest input; nil where inputs reach beyond half of `limit`.
  ///
  /// Layers may make an activation's input as small as they like and its output as large again: a
  /// fit to |x| < `limit` has an error that does not shrink with them. No comparison is needed.
  ///
  /// - Parameter degree: the largest of the polynomial in x, which stands where none has the error.
  static func narrow(_ node: NodeStatistics, limit: Double, degree: Int) -> PiecewiseActivation? {
    // What is always zero is as good as what is nearly so.
    let seen = max(node.reach, 0x1p-40)
    let reach = seen * node.headroom
    guard reach <= limit / 2, let activation = node.site.operationClass.activation else {
      return nil
    }
    let isOdd = activation == .tanh
    let part: ((Double) -> Double)? =
      isOdd ? { $0 == 0 ? 1 : tanh($0) / $0 } : ReferenceFunctions.evenPart(activation)
    guard let part else { return nil }
    // What an error of P is one of the function's at most.
    let weight = isOdd ? reach : 1
    var best: MinimaxPolynomial?
    for half in 1...max(degree / 2, 1) {
      // The part is a power series of x^2.
      var fit = MinimaxPolynomial.fit(degree: half, on: 0...1) { part(reach * $0.squareRoot()) }
      fit.maximumError *= weight
      if best.map({ fit.maximumError < $0.maximumError }) ?? true { best = fit }
      if fit.maximumError <= seen * 0x1p-14 { break }
    }
    guard let best else { return nil }
    var coefficients = [Double](repeating: 0, count: 2 * best.coefficients.count - (isOdd ? 0 : 1))
    for (power, coefficient) in best.coefficients.enumerated() {
      coefficients[2 * power + (isOdd ? 1 : 0)] = coefficient * weight
    }
    if !isOdd { coefficients[1] = reach / 2 }
    return PiecewiseActivation(
      function: PiecewisePolynomial(
        knots: [],
        pieces: [PolynomialPiece(centre: 0, scale: reach, coefficients: coefficients)],
        resolution: PiecewisePolynomial.activationResolution),
      range: -reach...reach, maximumError: best.maximumError)
  }
}
