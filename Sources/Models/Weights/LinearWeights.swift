// Weights of linear nodes that stand for a model's own.

public import Bytes

/// Weights that stand for those of a linear node: x W^T + b.
public struct LinearWeights: Equatable, Sendable {
  /// Row-major [outputs, inputs].
  public var matrix: [Float]
  /// [outputs], or nil where the node has none.
  public var bias: [Float]?

  public init(matrix: [Float], bias: [Float]?) {
    self.matrix = matrix
    self.bias = bias
  }
}

/// Weights of a model, some of them replaced.
public struct ReplacedWeights: WeightSource {
  private let original: any WeightSource
  private var replaced: [String: [Float]] = [:]

  public init(_ original: any WeightSource) { self.original = original }

  /// Sets the elements of the weight `name`, row-major.
  public mutating func replace(_ name: String, by values: [Float]) { replaced[name] = values }

  public func weight(_ name: String) throws(InputError) -> [Float] {
    if let values = replaced[name] { return values }
    return try original.weight(name)
  }

  public func weight(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    if let values = replaced[name] { return Array(values[elements]) }
    return try original.weight(name, in: elements)
  }

  public func encoding(of name: String) -> WeightEncoding {
    replaced[name] == nil ? original.encoding(of: name) : .float32
  }

  public func storedWords(_ name: String, in elements: Range<Int>) throws(InputError) -> [UInt16]? {
    replaced[name] == nil ? try original.storedWords(name, in: elements) : nil
  }

  public func knownSizes(of name: String) -> MatrixSizes? {
    replaced[name] == nil ? original.knownSizes(of: name) : nil
  }
}
