// How far a tensor is from its original, relative to the original's size.

/// |x - original| / |original| in the Euclidean norm, over all elements that were added.
public struct RelativeError: Equatable, Sendable {
  private var differences = 0.0
  private var originals = 0.0
  /// max |x - original|.
  public private(set) var maximum = 0.0

  public init() {}

  /// The relative error; that of a zero tensor is its absolute norm.
  public var value: Double { (differences / (originals > 0 ? originals : 1)).squareRoot() }

  /// Whether there is anything that the error is relative to.
  public var isRelative: Bool { originals > 0 }

  /// Adds one element.
  mutating func add(_ x: Double, original: Double) {
    let difference = x - original
    differences += difference * difference
    originals += original * original
    maximum = max(maximum, abs(difference))
  }

  /// Adds what another part of the evaluation gave.
  public mutating func add(_ other: RelativeError) {
    differences += other.differences
    originals += other.originals
    maximum = max(maximum, other.maximum)
  }
}
