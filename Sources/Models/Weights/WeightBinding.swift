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
  /// Tensors of the same shape that follow: the weight is all of them, one after another.
  var moreKeys: [String] = []
  /// What each stored row x is multiplied by: it becomes x W^T.
  var projection: Projection?
  /// Whether the stored matrix is [inputs, outputs], its axes flattened into these two.
  var isTransposed = false
  /// The stored outputs that the weight consists of, in this order; nil for all.
  var outputRanges: [Range<Int>]?
  /// The columns that the matrix consists of, in this order; nil for all.
  var inputOrder: InputOrder?
  /// What the elements are multiplied by.
  var factor: Float = 1
  /// What is then added to them.
  var addend: Float = 0

  /// A matrix W, stored as [outputs, inputs].
  struct Projection: Equatable, Sendable {
    var key: String
    var shape: [Int]
  }

  /// Columns of a matrix that would have `count` of them.
  struct InputOrder: Equatable, Sendable {
    var columns: [Int]
    var count: Int
  }

  var elementCount: Int { shape.reduce(1, *) }

  /// Every tensor that the weight is taken from, and the shape that it must have.
  var tensors: [(key: String, shape: [Int])] {
    ([key] + moreKeys).map { ($0, storedShape) }
      + [projection.map { ($0.key, $0.shape) }].compactMap(\.self)
  }

  /// Whether elements of the weight are elements of one tensor, as they stand there.
  var isPlain: Bool { factor == 1 && addend == 0 && moreKeys.isEmpty && projection == nil }

  /// Leaves the outputs `order` of a matrix or a bias, in this order.
  mutating func keepOutputs(_ order: [Int]) {
    let stored = (outputRanges ?? [0..<shape[0]]).flatMap { Array($0) }
    var ranges: [Range<Int>] = []
    for output in order.map({ stored[$0] }) {
      if let last = ranges.last, last.upperBound == output {
        ranges[ranges.count - 1] = last.lowerBound..<output + 1
      } else {
        ranges.append(output..<output + 1)
      }
    }
    outputRanges = ranges
    shape[0] = order.count
  }

  /// Leaves the inputs `order` of a matrix, in this order.
  mutating func keepInputs(_ order: [Int]) {
    inputOrder = InputOrder(columns: order, count: shape[1])
    shape[1] = order.count
  }

  /// The same with other names of the tensors.
  func renamed(_ name: (String) -> String) -> WeightBinding {
    var result = self
    result.key = name(key)
    result.moreKeys = moreKeys.map(name)
    if let projection { result.projection?.key = name(projection.key) }
    return result
  }

  /// Elements `elements` of the weight, counted row-major in `shape`.
  ///
  /// `read` gives elements of a stored tensor by their row-major indices.
  func floats(
    in elements: Range<Int>, read: (_ key: String, Range<Int>) throws(InputError) -> [Float]
  ) throws(InputError) -> [Float] {
    guard !elements.isEmpty else { return [] }
    if let inputOrder { return try reordered(elements, inputOrder, read: read) }
    if let projection { return scaled(try projected(elements, projection, read: read)) }
    guard moreKeys.isEmpty else { return scaled(try joined(elements, read: read)) }
    func readOne(_ range: Range<Int>) throws(InputError) -> [Float] { try read(key, range) }
    guard isTransposed || outputRanges != nil else { return scaled(try readOne(elements)) }
    let inputCount = shape.dropFirst().reduce(1, *)
    let outputs = elements.lowerBound / inputCount..<(elements.upperBound - 1) / inputCount + 1
    let storedOutputCount = storedShape.reduce(1, *) / inputCount
    var result: [Float] = []
    for range in storedRanges(of: outputs, in: outputRanges ?? [0..<storedOutputCount]) {
      if isTransposed {
        result += try TransposedMatrix.columns(
          range, rowCount: inputCount, columnCount: storedOutputCount, read: readOne)
      } else {
        result += try readOne(range.lowerBound * inputCount..<range.upperBound * inputCount)
      }
    }
    let first = elements.lowerBound - outputs.lowerBound * inputCount
    return scaled(
      result.count == elements.count ? result : Array(result[first..<first + elements.count]))
  }

  /// Columns `order` of whole rows.
  private func reordered(
    _ elements: Range<Int>, _ order: InputOrder,
    read: (_ key: String, Range<Int>) throws(InputError) -> [Float]
  ) throws(InputError) -> [Float] {
    var whole = self
    whole.inputOrder = nil
    whole.shape[1] = order.count
    let width = order.columns.count
    let rows = elements.lowerBound / width..<(elements.upperBound - 1) / width + 1
    let values = try whole.floats(
      in: rows.lowerBound * order.count..<rows.upperBound * order.count, read: read)
    return elements.map { element in
      let row = element / width - rows.lowerBound
      return values[row * order.count + order.columns[element % width]]
    }
  }

  /// Elements of the tensors, one after another.
  private func joined(
    _ elements: Range<Int>, read: (_ key: String, Range<Int>) throws(InputError) -> [Float]
  ) throws(InputError) -> [Float] {
    let count = storedShape.reduce(1, *)
    var result: [Float] = []
    for (index, key) in ([key] + moreKeys).enumerated() {
      let part = elements.clamped(to: index * count..<(index + 1) * count)
      guard !part.isEmpty else { continue }
      result += try read(key, part.lowerBound - index * count..<part.upperBound - index * count)
    }
    return result
  }

  /// Elements of the stored rows times the projection.
  private func projected(
    _ elements: Range<Int>, _ projection: Projection,
    read: (_ key: String, Range<Int>) throws(InputError) -> [Float]
  ) throws(InputError) -> [Float] {
    let (outputs, inputs) = (projection.shape[0], projection.shape[1])
    let rows = elements.lowerBound / outputs..<(elements.upperBound - 1) / outputs + 1
    let product = MatrixProduct.affine(
      FloatMatrix(
        rowCount: rows.count, columnCount: inputs,
        values: try read(key, rows.lowerBound * inputs..<rows.upperBound * inputs)),
      LinearWeights(matrix: try read(projection.key, 0..<outputs * inputs), bias: nil))
    let first = elements.lowerBound - rows.lowerBound * outputs
    return Array(product[first..<first + elements.count])
  }

  /// Where elements `elements` of the weight are in the tensor `key`; nil where they are not elements
  /// of it, or not in its order.
  func storedRanges(of elements: Range<Int>) -> [Range<Int>]? {
    guard isPlain, !isTransposed else { return nil }
    guard let outputRanges else { return [elements] }
    let inputCount = shape.dropFirst().reduce(1, *)
    return storedRanges(
      of: elements,
      in: outputRanges.map { $0.lowerBound * inputCount..<$0.upperBound * inputCount })
  }

  /// Where `wanted` is, counted over `ranges` one after the other.
  private func storedRanges(of wanted: Range<Int>, in ranges: [Range<Int>]) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var passed = 0
    for range in ranges {
      let part = (passed..<passed + range.count).clamped(to: wanted)
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
