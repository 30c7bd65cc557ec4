// LayerNorm and RMSNorm with the variance of each row.

public import Bytes

/// 1 / sqrt(variance + epsilon) by a table of lines with the recipe's `tableTolerance`, on the seen
/// variances widened by the headroom both ways.
///
/// PUMA, BumbleBee and BOLT normalise with the variance as well, by other means.
public struct ExactNormalisation: Replacement {
  public static let name = "exact"
  public static let classes: [OperationClass] = [.layerNorm, .rmsNorm]
  public static let source = "table of minimax lines"

  public init() {}

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {}

  public var parameters: [String: JSON] { [:] }

  public func form(at site: ReplacementSite) -> ReplacementForm? { .normalisation(.exact) }
}
