// MPCFormer's 2Quad: squares of shifted scores instead of exponentials.

public import Bytes
import Foundation

/// (s + shift)^2 / sum of (s + shift)^2 over the allowed keys, for models trained with it.
///
/// The mask multiplies: (s + 5)^2 of a large negative additive mask would be a huge weight. Below
/// -shift the order of scores turns. Weights are divided by `scale`, a power of two that makes them
/// at most 1, and 2^-20 is added to the sum, so that a row at -shift is not 0/0.
public struct TwoQuadSoftmax: Replacement {
  public static let name = "2quad"
  public static let classes: [OperationClass] = [.softmax]
  public static let source =
    "Li et al., ICLR 2023, arXiv 2211.01452; MPCFormer src/main/transformer/modeling.py"

  public var shift: Double
  /// nil until the scores are known.
  public var scale: Double?

  public init(shift: Double = 5, scale: Double? = nil) {
    self.shift = shift
    self.scale = scale
  }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    shift = try reader.number("shift", default: TwoQuadSoftmax().shift, in: 0...64)
    scale = try reader.optionalPowerOfTwo("scale")
  }

  public var parameters: [String: JSON] {
    var members: [String: JSON] = ["shift": .number(shift)]
    if let scale { members["scale"] = .number(scale) }
    return members
  }

  public func needsTraining(for operationClass: OperationClass) -> Bool { true }

  public func validRange(for operationClass: OperationClass) -> ClosedRange<Double> {
    -shift...Double.infinity
  }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    scale.map { scale in
      .softmax(
        SoftmaxForm(
          subtractsMaximum: false,
          kernel: .piecewise(
            PiecewisePolynomial(
              knots: [],
              pieces: [PolynomialPiece(centre: -shift, scale: 1, coefficients: [0, 0, 1 / scale])],
              resolution: ReplacementSite.scoreResolution)),
          epsilon: PowerSoftmax.epsilon))
    }
  }

  public func resolved(for node: NodeStatistics) throws(InputError) -> any Replacement {
    guard scale == nil else { return self }
    let reach = node.inputs.bound * node.headroom + shift
    return TwoQuadSoftmax(shift: shift, scale: PolynomialPiece.powerOfTwo(above: reach * reach))
  }
}
