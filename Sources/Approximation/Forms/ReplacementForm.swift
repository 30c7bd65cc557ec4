// A replacement resolved to data: what the float interpreter evaluates and lowering compiles.

public import Bytes

/// What stands for the variance of a normalisation.
public enum NormalisationForm: Equatable, Sendable {
  /// 1 / sqrt(variance + epsilon) by a table.
  case exact
  /// A constant instead of it; nothing non-linear is left.
  case affine(factor: Double)
}

/// The function of one node, with every coefficient.
public enum ReplacementForm: Equatable, Sendable {
  case activation(PiecewisePolynomial)
  case softmax(SoftmaxForm)
  case normalisation(NormalisationForm)
  /// The operation itself, of values that party 1 sees in a random order.
  case permuted(OperationClass)

  /// The form as data for other programs, such as the torch modules of `tools/finetune`.
  public var json: JSON {
    switch self {
    case .activation(let function): ["activation": function.json]
    case .softmax(let form): ["softmax": form.json]
    case .normalisation(.exact): ["normalisation": ["factor": .null]]
    case .normalisation(.affine(let factor)): ["normalisation": ["factor": .number(factor)]]
    case .permuted: ["permuted": true]
    }
  }
}
