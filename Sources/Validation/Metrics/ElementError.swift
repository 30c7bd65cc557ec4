// Mean and largest difference of the elements of two tensors.

/// Absolute differences of elements that were added.
public struct ElementError: Equatable, Sendable {
  private var sum = 0.0
  private var count = 0
  public private(set) var maximum = 0.0

  public init() {}

  public var mean: Double { sum / Double(max(count, 1)) }

  mutating func add(_ difference: Double) {
    sum += abs(difference)
    count += 1
    maximum = max(maximum, abs(difference))
  }

  mutating func add(_ other: ElementError) {
    sum += other.sum
    count += other.count
    maximum = max(maximum, other.maximum)
  }
}
