// Replacements for the non-linear functions of a graph, so that approximations run in float.

/// Functions that the interpreter calls instead of the exact ones, by node name.
///
/// Functions of one value or one row of Doubles; what is not replaced stays exact.
public struct FunctionTable: Sendable {
  public typealias Function = @Sendable (Double) -> Double
  /// Changes a row in place.
  public typealias RowFunction = @Sendable (inout [Double]) -> Void

  /// For activation nodes: the function of the node's input.
  public var activations: [String: Function] = [:]
  /// For attention nodes: turns the scaled scores of a row's allowed keys into their weights.
  public var softmaxes: [String: RowFunction] = [:]
  /// For attention nodes with a soft cap, and softCap nodes: the function of a score or an element.
  public var softCaps: [String: Function] = [:]
  /// For layerNorm nodes: the reciprocal square root of variance plus epsilon; for rmsNorm nodes:
  /// that of the mean square plus epsilon.
  public var reciprocalSquareRoots: [String: Function] = [:]

  public init() {}
}
