// A checkpoint's tensors with a LoRA adapter merged into them, read in parts.

import Bytes
import CFloatKernels
import Checkpoints

/// W + scale * B A, rounded to the type of W as peft's merge does: product and sum are of single
/// precision, and the sum alone is rounded.
struct AdaptedSource: TensorSource {
  let original: any TensorSource
  let adapter: any TensorSource
  /// By the name of the model's tensor.
  let updates: [String: Adapter.Update]

  var path: String { original.path }
  var formatName: String { original.formatName }
  var tensors: [TensorDescription] { original.tensors }
  var aliases: [String: String] { original.aliases }
  var notices: [String] { original.notices }

  func tensor(_ name: String) throws(InputError) -> TensorDescription {
    try original.tensor(name)
  }

  /// Memory is that of the result and of both factors of the tensor's update.
  func floats(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    guard let update = updates[name], !elements.isEmpty else {
      return try original.floats(name, in: elements)
    }
    let tensor = try original.tensor(name)
    var values: [Float]
    if let whole = update.whole {
      values = AdaptedSource.rounded(try adapter.floats(whole, in: elements), to: tensor.type)
    } else {
      values = try original.floats(name, in: elements)
    }
    if let product = update.product {
      let width = tensor.shape.last ?? 1
      let rows = elements.lowerBound / width..<(elements.upperBound - 1) / width + 1
      // Whole rows, of which the first and the last may be more than what is asked for.
      let delta = try delta(product, rows: rows, width: width)
      let first = elements.lowerBound - rows.lowerBound * width
      for index in values.indices { values[index] += delta[first + index] }
    }
    let rounded = AdaptedSource.rounded(values, to: tensor.type)
    if let index = rounded.firstIndex(where: { !$0.isFinite }) {
      throw InputError(
        adapter.path, place: name,
        "element \(elements.lowerBound + index) of the sum is not a finite number of type "
          + tensor.type.rawValue)
    }
    return rounded
  }

  func storedWords(_ name: String, in elements: Range<Int>) throws(InputError) -> [UInt16]? {
    updates[name] == nil ? try original.storedWords(name, in: elements) : nil
  }

  /// Rows `rows` of scale * B A, or of its transpose.
  private func delta(_ product: Adapter.Product, rows: Range<Int>, width: Int) throws(InputError)
    -> [Float]
  {
    let (a, b, rank, scale) = (product.a, product.b, product.rank, product.scale)
    var result = [Float](repeating: 0, count: rows.count * width)
    let target = MatrixView(
      offset: 0, rowCount: rows.count, columnCount: width, stride: width)
    if product.isTransposed {
      // Rows are columns of A; columns are rows of B.
      let inputs = try adapter.tensor(a).shape[1]
      let columns = try TransposedMatrix.columns(rows, rowCount: rank, columnCount: inputs) {
        (range) throws(InputError) in try adapter.floats(a, in: range)
      }
      MatrixProduct.multiply(
        columns, MatrixView(offset: 0, rowCount: rows.count, columnCount: rank, stride: rank),
        try adapter.floats(b),
        MatrixView(offset: 0, rowCount: width, columnCount: rank, stride: rank),
        transposed: true, scale: scale, into: &result, target)
    } else {
      MatrixProduct.multiply(
        try adapter.floats(b, in: rows.lowerBound * rank..<rows.upperBound * rank),
        MatrixView(offset: 0, rowCount: rows.count, columnCount: rank, stride: rank),
        try adapter.floats(a),
        MatrixView(offset: 0, rowCount: rank, columnCount: width, stride: width),
        transposed: false, scale: scale, into: &result, target)
    }
    return result
  }

  /// The numbers of `type` that are nearest to `values`, ties to even; those of types that are not
  /// written, such as quantised ones, stay as they are.
  private static func rounded(_ values: [Float], to type: ElementType) -> [Float] {
    switch type {
    case .bfloat16:
      return values.map { value in
        let bits = value.bitPattern
        let carry = (bits >> 16 & 1) + 0x7fff
        return value.isFinite ? Float(bitPattern: (bits &+ carry) & 0xffff_0000) : value
      }
    case .float16:
      let halves = unsafe [UInt16](unsafeUninitializedCapacity: values.count) { target, count in
        unsafe lodge_halves_from_floats(values, target.baseAddress, values.count)
        count = values.count
      }
      return unsafe [Float](unsafeUninitializedCapacity: values.count) { target, count in
        unsafe lodge_floats_from_halves(halves, target.baseAddress, values.count)
        count = values.count
      }
    default: return values
    }
  }
}
