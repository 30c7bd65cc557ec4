// Where a weight of the graph stands in a checkpoint, and how it is taken from there.

/// A weight of the graph: a tensor of the checkpoint, or some outputs of one, maybe transposed.
struct WeightBinding: Equatable, Sendable {
  /// Shape in the graph: [outputs, inputs] of a matrix, [length] of a vector.
  var shape: [Int]
  /// The checkpoint's own key.
  var key: String
  /// Shape that the checkpoint's tensor must have.
  var storedShape: [Int]
  /// Whether the stored matrix is [inputs, outputs], its axes flattened into these two.
  var isTransposed = false
  /// The stored outputs that the weight consists of, in this order; nil for all.
  var outputRanges: [Range<Int>]?
  /// What the elements are multiplied by.
  var factor: Float = 1

  /// The weight, row-major in `shape`, out of all elements of the stored tensor.
  func weight(of stored: [Float]) -> [Float] {
    let result = gathered(from: stored)
    return factor == 1 ? result : result.map { $0 * factor }
  }

  private func gathered(from stored: [Float]) -> [Float] {
    guard isTransposed || outputRanges != nil else { return stored }
    let inputCount = shape.dropFirst().reduce(1, *)
    let storedOutputCount = stored.count / inputCount
    var result: [Float] = []
    result.reserveCapacity(shape.reduce(1, *))
    for range in outputRanges ?? [0..<storedOutputCount] {
      guard isTransposed else {
        result += stored[range.lowerBound * inputCount..<range.upperBound * inputCount]
        continue
      }
      for output in range {
        for input in 0..<inputCount { result.append(stored[input * storedOutputCount + output]) }
      }
    }
    return result
  }
}
