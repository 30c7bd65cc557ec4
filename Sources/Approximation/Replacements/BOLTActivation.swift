// BOLT's quartic GeLU.

public import Bytes

/// 0.5 x + P(|x|) for |x| < 2.7, ReLU outside; largest error 0.00936 at 2.7.
///
/// BOLT evaluates P in Motzkin's form to save multiplications. With powers of a masked value for
/// free that form has no use here; it is the same polynomial.
public struct BOLTActivation: Replacement {
  public static let name = "bolt"
  public static let classes: [OperationClass] = [.gelu, .geluTanh]
  public static let source = "Pang et al., S&P 2024, ePrint 2023/1893; EzPC branch bert fp-math.cpp"

  public init() {}

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {}

  public var parameters: [String: JSON] { [:] }

  public func form(at site: ReplacementSite) -> ReplacementForm? { .activation(Self.gelu) }

  /// (z + u - 8.15...) z + 16.38... with u = 0.144... a and z = (u - 0.707...) a + 4.57...,
  /// multiplied out.
  static let monomials: [Double] = {
    let (a, b, c) = (0.14439048359960427, -0.7077117131613893, 4.5702822654246535)
    let (d, e) = (-8.15444702051307, 16.382265425072532)
    return [
      c * c + d * c + e, 2 * b * c + d * b + a * c, b * b + 2 * a * c + d * a + a * b,
      2 * a * b + a * a, a * a,
    ]
  }()

  private static let gelu = PiecewisePolynomial(
    isEven: true, slope: 0.5, knots: [2.7],
    pieces: [.monomials(monomials, on: 0...2.7), .line(0.5, 0)],
    resolution: PiecewisePolynomial.activationResolution)
}
