// ReLU: exact for itself, and PCFT's replacement of GeLU and SiLU in models trained for it.

public import Bytes

/// max(x, 0); as GeLU 0.16997 away at most (x = 0.7518), as SiLU 0.2785 (x = -1.2785).
public struct ReLUActivation: Replacement {
  public static let name = "relu"
  public static let classes: [OperationClass] = [.relu, .gelu, .geluTanh, .silu]
  public static let source = "Liu & Liu 2023, arXiv 2305.18396 (PCFT)"

  public init() {}

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {}

  public var parameters: [String: JSON] { [:] }

  public func needsTraining(for operationClass: OperationClass) -> Bool { operationClass != .relu }

  public func form(at site: ReplacementSite) -> ReplacementForm? { .activation(.relu) }
}
