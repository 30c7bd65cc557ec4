// A softmax form written out in the recipe: what `fitted` resolves to.

public import Bytes

/// Any kernel, with its certified error against exp for centred scores.
public struct PiecewiseSoftmax: Replacement {
  public static let name = "piecewise"
  public static let classes: [OperationClass] = [.softmax]
  public static let source = "coefficients of the recipe"

  public var softmax: SoftmaxForm
  /// Largest |kernel - exp| up to the largest score, where it is known.
  public var maximumError: Double?

  public init(softmax: SoftmaxForm, maximumError: Double? = nil) {
    self.softmax = softmax
    self.maximumError = maximumError
  }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    softmax = try SoftmaxForm(&reader)
    maximumError =
      reader.contains("maximumError")
      ? try reader.number("maximumError", default: 0, in: 0...1e6) : nil
  }

  public var parameters: [String: JSON] {
    guard case .object(var members) = softmax.json else { return [:] }
    if let maximumError { members["maximumError"] = .number(maximumError) }
    return members
  }

  /// A kernel of uncentred scores is the function of a trained model.
  public func needsTraining(for operationClass: OperationClass) -> Bool {
    !softmax.subtractsMaximum
  }

  public func form(at site: ReplacementSite) -> ReplacementForm? { .softmax(softmax) }

  public var summary: String {
    switch softmax.kernel {
    case .piecewise(let function):
      "\(function.signed.pieces.count) pieces of degree "
        + "\(function.pieces.map(\.degree).max() ?? 0) at most, \(softmax.squarings) squarings"
    case .scaled(let function):
      "\(function.scales.count) scales of a polynomial of degree \(function.polynomial.degree)"
    case .exponential: "exp"
    }
  }
}
