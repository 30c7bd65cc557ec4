// Softmax with the exponential itself.

public import Bytes

/// exp of the scores, from dealt exponentials of their masks, to the fractional bits of the ring.
///
/// No polynomial stands for anything: the scores are rounded to 2^-12, which is 2^-13 of a weight,
/// and the weights to the bits that the sum over the keys leaves.
public struct ExactSoftmax: Replacement {
  public static let name = "exact"
  public static let classes: [OperationClass] = [.softmax]
  public static let source = "exponentials of masks"

  public init() {}

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {}

  public var parameters: [String: JSON] { [:] }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    .softmax(SoftmaxForm(subtractsMaximum: true, kernel: .exponential))
  }
}
