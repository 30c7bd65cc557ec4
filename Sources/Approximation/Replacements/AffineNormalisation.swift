// PCFT's normalisation without a variance.

public import Bytes

/// gamma * factor * (x - mean) + beta for LayerNorm, gamma * factor * x for RMSNorm, for models
/// trained with it; folded into the linear layers behind, it costs nothing.
///
/// Unless the recipe gives one, the factor is what comes nearest to the exact outputs of the
/// calibration text, the mean of sqrt(variance + epsilon) by that of its square. (The mean of 1 /
/// sqrt(variance + epsilon) follows the rows with the least variance, and makes those with the most
/// explode.) Without the variance nothing bounds the residual stream: ranges must be calibrated
/// with the replacement in place, and lowering refuses what does not fit.
public struct AffineNormalisation: Replacement {
  public static let name = "affine"
  public static let classes: [OperationClass] = [.layerNorm, .rmsNorm]
  public static let source =
    "Liu & Liu 2023, arXiv 2305.18396 (PCFT), private-llm/convert/torch_models.py"

  /// nil until the variances are known.
  public var factor: Double?

  public init(factor: Double? = nil) { self.factor = factor }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    factor =
      reader.contains("factor") ? try reader.number("factor", default: 1, in: 1e-6...1e6) : nil
  }

  public var parameters: [String: JSON] { factor.map { ["factor": .number($0)] } ?? [:] }

  public func needsTraining(for operationClass: OperationClass) -> Bool { true }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    factor.map { .normalisation(.affine(factor: $0)) }
  }

  public func resolved(for node: NodeStatistics) throws(InputError) -> any Replacement {
    guard factor == nil else { return self }
    // Least squares of factor * (x - mean) against the exact output, over all rows.
    let root = node.inputs.mean { (max($0, 0) + node.epsilon).squareRoot() }
    let square = node.inputs.mean { max($0, 0) + node.epsilon }
    return AffineNormalisation(factor: root / square)
  }
}
