// Operations that party 1 computes in the clear, on values in a random order.

public import Bytes

/// The operation itself, exactly: of values that party 0 has permuted and party 1 sees. Nothing is
/// approximated, and party 1 learns the values but for their order.
public struct PermutedOperation: Replacement {
  public static let name = "permuted"
  public static let classes = OperationClass.allCases
  public static let source = "Zheng et al. 2024, arXiv 2405.18744 (PermLLM)"

  public init() {}

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {}

  public var parameters: [String: JSON] { [:] }

  public func form(at site: ReplacementSite) -> ReplacementForm? { .permuted(site.operationClass) }
}

extension Recipe {
  /// Classes of operations whose inputs party 1 learns, but for their order, somewhere in a model.
  public var permutedClasses: [OperationClass] {
    OperationClass.allCases.filter { operationClass in
      let all =
        [choices] + layers.values + nodes.values
      return all.contains { $0[operationClass]?.replacement is PermutedOperation }
    }
  }
}
