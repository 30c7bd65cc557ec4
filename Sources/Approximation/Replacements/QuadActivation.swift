// MPCFormer's Quad, in the form that its models are trained with.

public import Bytes

/// 0.125 x^2 + 0.25 x + 0.5: one multiplication, no comparison.
///
/// MPCFormer's benchmark runs another polynomial, 0.125 x^2 + 0.5 x + 0.25. Weights trained with
/// this one must be run with this one. As GeLU it is 2.375 away at -5 and grows beyond.
public struct QuadActivation: Replacement {
  public static let name = "quad"
  public static let classes: [OperationClass] = [.gelu, .geluTanh, .silu]
  public static let source =
    "Li et al., ICLR 2023, arXiv 2211.01452; MPCFormer src/main/transformer/modeling.py"

  public init() {}

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {}

  public var parameters: [String: JSON] { [:] }

  public func needsTraining(for operationClass: OperationClass) -> Bool { true }

  /// The interval of the published comparison with GeLU.
  public func validRange(for operationClass: OperationClass) -> ClosedRange<Double> { -5...5 }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    .activation(
      PiecewisePolynomial(
        knots: [],
        pieces: [PolynomialPiece(centre: 0, scale: 1, coefficients: [0.5, 0.25, 0.125])],
        resolution: PiecewisePolynomial.activationResolution))
  }
}
