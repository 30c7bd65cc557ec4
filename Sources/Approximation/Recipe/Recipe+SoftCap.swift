// Soft caps: cap * tanh(x / cap), by what the recipe has for tanh.

public import Bytes
public import Models

extension Recipe {
  /// cap * tanh(x / cap) at `node`, by the choice for tanh.
  ///
  /// - Throws: `InputError` where the recipe must be resolved first.
  public func softCap(_ cap: Double, at node: ModelNode) throws(InputError) -> PiecewisePolynomial {
    var choice = node.layer.flatMap { layers[$0]?[.tanh] } ?? choices[.tanh]
    if choice?.replacement is PermutedOperation {
      // Scores are permuted once, for their softmax.
      choice = ReplacementChoice(LinesActivation.accurate(for: .tanh))
    }
    guard case .activation(let function)? = choice?.form(at: ReplacementSite(.tanh, reach: cap))
    else {
      throw InputError("recipe", place: node.name, "tanh is not resolved")
    }
    return function.stretched(by: cap)
  }
}
