// Power softmax: an even power of the scores instead of exponentials.

public import Bytes
import Foundation

/// s^p / sum of s^p over the allowed keys, p even, for models trained with it.
///
/// Scores are divided by `scale`, a power of two that makes them at most 1, and 2^-20 is added to
/// the sum of the powers: a row of zeros has no weight instead of 0/0. The order of negative scores
/// is turned.
public struct PowerSoftmax: Replacement {
  public static let name = "power"
  public static let classes: [OperationClass] = [.softmax]
  public static let source = "Zimerman et al. 2024, arXiv 2410.09457 (power-softmax)"

  /// What is added to the sum of weights that are at most 1.
  static let epsilon = 0x1p-20

  public var exponent: Int
  /// nil until the scores are known.
  public var scale: Double?

  public init(exponent: Int = 4, scale: Double? = nil) {
    self.exponent = exponent
    self.scale = scale
  }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    exponent = try reader.integer("exponent", default: PowerSoftmax().exponent, in: 2...8)
    guard exponent % 2 == 0 else { throw reader.failure("exponent", "\(exponent) is odd") }
    scale = try reader.optionalPowerOfTwo("scale")
  }

  public var parameters: [String: JSON] {
    var members: [String: JSON] = ["exponent": .integer(exponent)]
    if let scale { members["scale"] = .number(scale) }
    return members
  }

  public func needsTraining(for operationClass: OperationClass) -> Bool { true }

  public func validRange(for operationClass: OperationClass) -> ClosedRange<Double> {
    0...Double.infinity
  }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    guard let scale else { return nil }
    // A square first keeps more bits than the whole power at once.
    let squarings = exponent % 4 == 0 ? exponent.trailingZeroBitCount - 1 : exponent == 6 ? 1 : 0
    let degree = exponent >> squarings
    return .softmax(
      SoftmaxForm(
        subtractsMaximum: false,
        kernel: .piecewise(
          PiecewisePolynomial(
            knots: [],
            pieces: [
              PolynomialPiece(
                centre: 0, scale: scale, coefficients: [Double](repeating: 0, count: degree) + [1])
            ], resolution: ReplacementSite.scoreResolution)),
        squarings: squarings, epsilon: PowerSoftmax.epsilon))
  }

  public func resolved(for node: NodeStatistics) throws(InputError) -> any Replacement {
    guard scale == nil else { return self }
    return PowerSoftmax(
      exponent: exponent,
      scale: PolynomialPiece.powerOfTwo(above: node.inputs.bound * node.headroom))
  }
}
