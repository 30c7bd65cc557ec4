// Where a weight of the graph stands in a checkpoint, and how it is taken from there.

import Bytes
import Checkpoints

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
  /// What is then added to them.
  var addend: Float = 0

  var elementCount: Int { shape.reduce(1, *) }

  /// Elements `elements` of the weight, counted row-major in `shape`.
  ///
  /// `read` gives elements of the stored tensor by their row-major indices.
  func floats(
    in elements: Range<Int>, read: (Range<Int>) throws(InputError) -> [Float]
  ) throws(InputError) -> [Float] {
    guard !elements.isEmpty else { return [] }
    guard isTransposed || outputRanges != nil else { return scaled(try read(elements)) }
    let inputCount = shape.dropFirst().reduce(1, *)
    let outputs = elements.lowerBound / inputCount..<(elements.upperBound - 1) / inputCount + 1
    let storedOutputCount = storedShape.reduce(1, *) / inputCount
    var result: [Float] = []
    for range in storedRanges(of: outputs, storedOutputCount: storedOutputCount) {
      if isTransposed {
        result += try TransposedMatrix.columns(
          range, rowCount: inputCount, columnCount: storedOutputCount, read: read)
      } else {
        result += try read(range.lowerBound * inputCount..<range.upperBound * inputCount)
      }
    }
    let first = elements.lowerBound - outputs.lowerBound * inputCount
    return scaled(
      result.count == elements.count ? result : Array(result[first..<first + elements.count]))
  }

  /// Where outputs `outputs` of the weight are among the stored ones.
  private func storedRanges(of outputs: Range<Int>, storedOutputCount: Int) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var passed = 0
    for range in outputRanges ?? [0..<storedOutputCount] {
      let part = (passed..<passed + range.count).clamped(to: outputs)
      if !part.isEmpty {
        let offset = range.lowerBound - passed
        result.append(part.lowerBound + offset..<part.upperBound + offset)
      }
      passed += range.count
    }
    return result
  }

  private func scaled(_ values: [Float]) -> [Float] {
    factor == 1 && addend == 0 ? values : values.map { $0 * factor + addend }
  }
}
