// BumbleBee's GeLU (three segments) and SiLU (four segments).

public import Bytes

/// GeLU: 0.5 x + P(|x|) for |x| < 3, ReLU outside. SiLU: x S(x), S(x) = Q(|x|) for 0 <= x < 8,
/// 1 - Q(|x|) for -8 <= x < 0, and 0 or 1 outside.
///
/// Largest error: GeLU 0.00522 at -3, SiLU 0.0099 at 8. x S(x) is one polynomial a side, x/2 + |x|
/// (Q(|x|) - 1/2).
public struct BumbleBeeActivation: Replacement {
  public static let name = "bumblebee"
  public static let classes: [OperationClass] = [.gelu, .geluTanh, .silu]
  public static let source =
    "Lu et al., NDSS 2025, ePrint 2023/1678; OpenBumbleBee libspu/kernel/hal/intrinsic/nn"

  public init() {}

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {}

  public var parameters: [String: JSON] { [:] }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    .activation(
      site.operationClass == .silu ? BumbleBeeActivation.silu : BumbleBeeActivation.gelu)
  }

  private static let gelu = PiecewisePolynomial(
    isEven: true, slope: 0.5, knots: [3],
    pieces: [
      .monomials(
        [
          0.001620808531841547, -0.03798164612714154, 0.5410550166368381, -0.18352506127082727,
          0.020848611754127593,
        ], on: 0...3),
      .line(0.5, 0),
    ], resolution: PiecewisePolynomial.activationResolution)

  private static let silu = PiecewisePolynomial(
    isEven: true, slope: 0.5, knots: [8],
    pieces: [
      .monomials(
        [
          0, 0.49352908920523014 - 0.5, 0.3028510171823098, -0.06808619212463336,
          0.006747908074344234, -0.0002472776978734074,
        ], on: 0...8),
      .line(0.5, 0),
    ], resolution: PiecewisePolynomial.activationResolution)
}
