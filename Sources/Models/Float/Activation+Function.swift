// The exact activation functions.

import Glibc

extension Activation {
  /// The function itself, in double precision.
  public var function: FunctionTable.Function {
    switch self {
    case .relu: { max($0, 0) }
    case .gelu: { 0.5 * $0 * (1 + erf($0 * 0.5.squareRoot())) }
    case .geluTanh:
      { 0.5 * $0 * (1 + Glibc.tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) }
    case .silu: { $0 / (1 + exp(-$0)) }
    case .tanh: { Glibc.tanh($0) }
    }
  }
}
