// A piecewise polynomial written out in the recipe: what `fitted` resolves to.

public import Bytes

/// Any piecewise polynomial, with the range that it was made for and its certified error there.
public struct PiecewiseActivation: Replacement {
  public static let name = "piecewise"
  public static let classes: [OperationClass] = [.relu, .gelu, .geluTanh, .silu, .tanh]
  public static let source = "coefficients of the recipe"

  public var function: PiecewisePolynomial
  public var range: ClosedRange<Double>?
  /// Largest error against the exact function on `range`, where it is known.
  public var maximumError: Double?

  public init(
    function: PiecewisePolynomial, range: ClosedRange<Double>? = nil, maximumError: Double? = nil
  ) {
    self.function = function
    self.range = range
    self.maximumError = maximumError
  }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    function = try PiecewisePolynomial(&reader)
    range = try reader.optionalRange("range")
    maximumError =
      reader.contains("maximumError")
      ? try reader.number("maximumError", default: 0, in: 0...1e6) : nil
  }

  public var parameters: [String: JSON] {
    guard case .object(var members) = function.json else { return [:] }
    if let range { members["range"] = [.number(range.lowerBound), .number(range.upperBound)] }
    if let maximumError { members["maximumError"] = .number(maximumError) }
    return members
  }

  public func validRange(for operationClass: OperationClass) -> ClosedRange<Double> {
    range ?? -Double.infinity...Double.infinity
  }

  public func form(at site: ReplacementSite) -> ReplacementForm? { .activation(function) }

  public var summary: String {
    let degree = function.pieces.map(\.degree).max() ?? 0
    return "\(function.signed.pieces.count) pieces of degree \(degree) at most"
  }
}
