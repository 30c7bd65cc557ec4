// The ways in which a converted model is evaluated, each a step further from the original.

/// A stage of an evaluation.
public enum Stage: String, Sendable, CaseIterable {
  /// The original model in float.
  case original
  /// The graph with its replacements in float.
  case approximated
  /// The secure program in exact fixed point.
  case ring
  /// Two parties over loopback, on a sample.
  case secure

  /// For headings.
  public var title: String {
    switch self {
    case .original: "original, float"
    case .approximated: "replacements, float"
    case .ring: "fixed point"
    case .secure: "two parties"
    }
  }
}
