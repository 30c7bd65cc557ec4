// Softmax by the limit (1 + x / 2^t)^(2^t), as PUMA and BumbleBee run it.

public import Bytes
import Foundation

/// exp(x) = (1 + x / 2^t)^(2^t) for x >= clip and 0 below, after subtracting the maximum.
///
/// The clip is part of the function: below -2^(t+1) the even power explodes. It is applied after
/// the maximum is subtracted, as PUMA's code does (its Algorithm 2 prints the other order). Largest
/// error 0.00855 with t = 5, near x = -2. PUMA's 1e-6 in the denominator is below what fixed point
/// keeps.
public struct LimitSoftmax: Replacement {
  public static let name = "limit"
  public static let classes: [OperationClass] = [.softmax]
  public static let source =
    "Dong et al. 2023, arXiv 2307.12533, algorithm 2; secretflow/spu flax_llama7b.py"

  /// t.
  public var squarings: Int
  public var clip: Double

  public init(squarings: Int = 5, clip: Double = -14) {
    self.squarings = squarings
    self.clip = clip
  }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    let published = LimitSoftmax()
    squarings = try reader.integer("squarings", default: published.squarings, in: 1...8)
    clip = try reader.number("clip", default: published.clip, in: -40 ... -4)
    guard clip >= -pow(2, Double(squarings)) else {
      throw reader.failure(
        "clip", "\(clip) is below -2^\(squarings), where the limit turns and grows")
    }
  }

  public var parameters: [String: JSON] {
    ["squarings": .integer(squarings), "clip": .number(clip)]
  }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    .softmax(
      SoftmaxForm(
        subtractsMaximum: true,
        kernel: .piecewise(
          PiecewisePolynomial(
            knots: [clip],
            pieces: [.line(0, 0), .line(pow(2, Double(-squarings)), 1)],
            resolution: ReplacementSite.scoreResolution)),
        squarings: squarings))
  }
}
