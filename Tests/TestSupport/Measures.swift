// Distances between outputs.

/// Mean and largest absolute difference of rows of logits.
public struct LogitDifference: CustomStringConvertible, Sendable {
  private var sum = 0.0
  private var count = 0
  public private(set) var maximum = 0.0

  public init() {}

  public var mean: Double { sum / Double(max(count, 1)) }

  public mutating func add(_ left: [Float], _ right: some Collection<Float>) {
    precondition(left.count == right.count && !left.isEmpty)
    for (a, b) in zip(left, right) {
      let difference = Double((a - b).magnitude)
      sum += difference
      maximum = max(maximum, difference)
    }
    count += left.count
  }

  public var description: String { "mean \(mean), maximum \(maximum) over \(count) logits" }
}

public enum Similarity {
  /// Mean of the rows of a row-major matrix.
  public static func meanPooled(_ values: [Float], width: Int) -> [Double] {
    (0..<width).map { column in
      stride(from: column, to: values.count, by: width).reduce(0.0) { $0 + Double(values[$1]) }
        / Double(values.count / width)
    }
  }

  public static func cosine(_ left: [Double], _ right: [Double]) -> Double {
    func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    return dot(left, right) / (dot(left, left) * dot(right, right)).squareRoot()
  }
}
