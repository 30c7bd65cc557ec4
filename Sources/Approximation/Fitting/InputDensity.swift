// How the inputs of an operation are distributed on calibration text: a histogram.

import Foundation

/// Counts of values in consecutive bins; within a bin values count as spread evenly.
public struct InputDensity: Equatable, Sendable {
  /// Ascending, one more than counts; the first is at most `minimum`, the last at least `maximum`.
  public let edges: [Double]
  public let counts: [Double]
  /// Smallest and largest value seen.
  public let minimum: Double
  public let maximum: Double
  /// Share of the values below each edge.
  private let cumulative: [Double]

  /// A histogram; bins may differ in width, and the counts must not all be 0.
  public init(edges: [Double], counts: [Double], minimum: Double, maximum: Double) {
    precondition(edges.count == counts.count + 1 && edges.count >= 2, "one edge more than counts")
    precondition(zip(edges, edges.dropFirst()).allSatisfy { $0 < $1 }, "edges must ascend")
    precondition(minimum <= maximum, "the minimum must not exceed the maximum")
    let total = counts.reduce(0, +)
    precondition(total > 0 && counts.allSatisfy { $0 >= 0 }, "counts must not all be zero")
    self.edges = edges
    self.counts = counts
    self.minimum = minimum
    self.maximum = maximum
    var sum = 0.0
    cumulative =
      [0]
      + counts.map { count in
        sum += count / total
        return sum
      }
  }

  /// Values spread evenly over `range`: what is assumed where only a range was seen.
  public init(uniformOn range: ClosedRange<Double>) {
    let (low, high) = (range.lowerBound, range.upperBound)
    let margin = low < high ? 0 : max(abs(low), 1e-9) * 1e-6
    self.init(edges: [low - margin, high + margin], counts: [1], minimum: low, maximum: high)
  }

  /// The bins of `histogram` that are not empty, its outermost ones cut off at `range`, the
  /// smallest and largest value seen.
  public init(_ histogram: Histogram, range: ClosedRange<Double>) {
    guard range.lowerBound < range.upperBound,
      let first = histogram.counts.firstIndex(where: { $0 > 0 }),
      let last = histogram.counts.lastIndex(where: { $0 > 0 })
    else {
      self.init(uniformOn: range)
      return
    }
    var edges = Array(Histogram.edges[first...last + 1])
    // Values beyond the last bin's border are counted in it.
    edges[0] = first == 0 ? min(edges[0], range.lowerBound) : max(edges[0], range.lowerBound)
    let top = edges.count - 1
    edges[top] =
      last == Histogram.binCount - 1
      ? max(edges[top], range.upperBound) : min(edges[top], range.upperBound)
    guard zip(edges, edges.dropFirst()).allSatisfy({ $0 < $1 }) else {
      self.init(uniformOn: range)
      return
    }
    self.init(
      edges: edges, counts: histogram.counts[first...last].map(Double.init),
      minimum: range.lowerBound, maximum: range.upperBound)
  }

  /// The histogram of `samples` with `binCount` bins of equal width.
  public init(samples: [Double], binCount: Int = 512) {
    precondition(!samples.isEmpty && binCount > 0, "a histogram of nothing")
    let (low, high) = (samples.min() ?? 0, samples.max() ?? 0)
    guard low < high else {
      self.init(uniformOn: low...high)
      return
    }
    var counts = [Double](repeating: 0, count: binCount)
    for sample in samples {
      counts[min(Int((sample - low) / (high - low) * Double(binCount)), binCount - 1)] += 1
    }
    var edges = (0...binCount).map { low + (high - low) * Double($0) / Double(binCount) }
    edges[binCount] = high
    self.init(edges: edges, counts: counts, minimum: low, maximum: high)
  }

  public var range: ClosedRange<Double> { minimum...maximum }

  /// Largest absolute value.
  public var bound: Double { max(abs(minimum), abs(maximum)) }

  /// Share of the values below `x`.
  public func share(below x: Double) -> Double {
    guard x > edges[0] else { return 0 }
    guard x < edges[edges.count - 1] else { return 1 }
    var (low, high) = (0, edges.count - 1)
    while high - low > 1 {
      let middle = (low + high) / 2
      if edges[middle] <= x { low = middle } else { high = middle }
    }
    let fraction = (x - edges[low]) / (edges[low + 1] - edges[low])
    return cumulative[low] + fraction * (cumulative[low + 1] - cumulative[low])
  }

  /// The value below which a share of `share` in 0...1 lies.
  public func quantile(_ share: Double) -> Double {
    var (low, high) = (0, edges.count - 1)
    while high - low > 1 {
      let middle = (low + high) / 2
      if cumulative[middle] <= share { low = middle } else { high = middle }
    }
    let mass = cumulative[low + 1] - cumulative[low]
    let fraction = mass > 0 ? min(max((share - cumulative[low]) / mass, 0), 1) : 0
    return edges[low] + fraction * (edges[low + 1] - edges[low])
  }

  /// The mean of `function` over the values, 8 points a bin.
  public func mean(_ function: (Double) -> Double) -> Double {
    var sum = 0.0
    for bin in counts.indices {
      let mass = cumulative[bin + 1] - cumulative[bin]
      if mass == 0 { continue }
      let low = max(edges[bin], minimum)
      let high = min(edges[bin + 1], maximum)
      var values = 0.0
      for step in 0..<8 { values += function(low + (high - low) * (Double(step) + 0.5) / 8) }
      sum += mass * values / 8
    }
    return sum
  }
}

/// Where densities come from: a calibration, or the samples of a test.
public protocol DensitySource {
  /// The distribution of `quantity` at the node called `node`, or nil where it was not observed.
  func density(_ node: String, _ quantity: ObservedQuantity) -> InputDensity?
  /// Largest magnitude of `quantity`, of what is no text as well, or nil where nothing was observed.
  func bound(of node: String, _ quantity: ObservedQuantity) -> Double?
}

extension DensitySource {
  public func bound(of node: String, _ quantity: ObservedQuantity) -> Double? {
    density(node, quantity)?.bound
  }
}
