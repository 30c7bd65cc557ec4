// PUMA's piecewise GeLU and SiLU.

public import Bytes

/// Two polynomials between 0 and x.
///
/// Largest error: GeLU 0.01991 at the knot 3, more than the 0.01403 that the paper states; SiLU
/// 0.0719 at 4.
public struct PUMAActivation: Replacement {
  public static let name = "puma"
  public static let classes: [OperationClass] = [.gelu, .geluTanh, .silu]
  public static let source =
    "Dong et al. 2023, arXiv 2307.12533, equations 2 and 3; SiLU: secretflow/spu flax_llama7b.py"

  public init() {}

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {}

  public var parameters: [String: JSON] { [:] }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    .activation(site.operationClass == .silu ? PUMAActivation.silu : PUMAActivation.gelu)
  }

  // The last comparisons are x > 3 and x > 4: both ends belong to the polynomials.
  private static let gelu = PiecewisePolynomial(
    knots: [-4, -1.95, 3.0.nextUp],
    pieces: [
      .line(0, 0),
      .monomials(
        [
          -0.5054031199708174, -0.42226581151983866, -0.11807612951181953, -0.011034134030615728,
        ], on: -4 ... -1.95),
      .monomials(
        [
          0.008526321541038084, 0.5, 0.3603292692789629, 0, -0.037688200365904236, 0,
          0.0018067462606141187,
        ], on: -1.95...3),
      .line(1, 0),
    ], resolution: PiecewisePolynomial.activationResolution)

  private static let silu = PiecewisePolynomial(
    knots: [-8, -4, 4.0.nextUp],
    pieces: [
      .line(0, 0),
      .monomials([-0.3067541139982155, -0.0819767021525476, -0.0055465625580307], on: -8 ... -4),
      .monomials(
        [
          0.0085064025895951, 0.5, 0.2281430841728270, 0, -0.011113046708173, 0, 0.0002743776353465,
        ],
        on: -4...4),
      .line(1, 0),
    ], resolution: PiecewisePolynomial.activationResolution)
}
