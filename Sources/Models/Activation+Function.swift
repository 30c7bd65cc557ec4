// The exact activation functions.

import Glibc

extension Activation {
  /// The function itself, in double precision.
  public var function: FunctionTable.Function {
    switch self {
    case .relu: { max($0, 0) }
    case .gelu: { 0.5 * $0 * (1 + erf($0 * 0.5.squareRoot())) }
    }
  }
}
