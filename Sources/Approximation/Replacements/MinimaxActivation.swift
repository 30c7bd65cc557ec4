// GeLU and SiLU by one minimax polynomial of |x|, with ReLU outside.

public import Bytes

/// x/2 + P(|x|) for |x| < limit and ReLU(x) outside, P the minimax polynomial of f(a) - a/2.
///
/// Largest error: GeLU with degree 6 and limit 3.5 8.1e-4, SiLU with degree 8 and limit 10 1.4e-3.
public struct MinimaxActivation: Replacement {
  public static let name = "minimax"
  public static let classes: [OperationClass] = [.gelu, .geluTanh, .silu]
  public static let source = "Remez fit of the even part; the form is that of BOLT"

  public var degree: Int
  public var limit: Double

  public init(degree: Int, limit: Double) {
    self.degree = degree
    self.limit = limit
  }

  /// Degree and limit unless a recipe says others.
  public static func standard(for operationClass: OperationClass) -> MinimaxActivation {
    operationClass == .silu
      ? MinimaxActivation(degree: 8, limit: 10) : MinimaxActivation(degree: 6, limit: 3.5)
  }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    let standard = MinimaxActivation.standard(for: operationClass)
    degree = try reader.integer("degree", default: standard.degree, in: 2...8)
    limit = try reader.number(
      "limit", default: standard.limit, in: 1...(operationClass == .silu ? 20 : 8))
  }

  public var parameters: [String: JSON] {
    ["degree": .integer(degree), "limit": .number(limit)]
  }

  public func resolved(for node: NodeStatistics) throws(InputError) -> any Replacement {
    PiecewiseActivation.narrow(node, limit: limit, degree: degree) ?? self
  }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    guard let even = site.operationClass.activation.flatMap(ReferenceFunctions.evenPart) else {
      return nil
    }
    return .activation(
      PiecewisePolynomial(
        isEven: true, slope: 0.5, knots: [limit],
        pieces: [.minimax(degree: degree, on: 0...limit, even), .line(0.5, 0)],
        resolution: PiecewisePolynomial.activationResolution))
  }
}
