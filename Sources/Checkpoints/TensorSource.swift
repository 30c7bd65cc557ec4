// The seam between file formats and the models: named tensors, read one at a time.

public import Bytes

/// A checkpoint file of some format whose header has been read and checked.
public protocol TensorSource: Sendable {
  /// Path of the file that holds the tensors, or of the index that names their files.
  var path: String { get }
  /// Name of the format for reports, such as "safetensors".
  var formatName: String { get }
  /// Every tensor, sorted by name; names are unique.
  var tensors: [TensorDescription] { get }

  /// The elements of the tensor `name`, row-major; exact, except that F64 is rounded to nearest and
  /// quantised blocks are computed in `Float` as ggml does.
  /// - Throws: `InputError` for an unknown name, for a type that is no weight, and for infinities
  ///   and NaN, naming the tensor and the index.
  func floats(_ name: String) throws(InputError) -> [Float]
}

extension TensorSource {
  /// The error for a name that is not among `tensors`.
  func unknownTensor(_ name: String) -> InputError {
    InputError(path, place: name, "there is no such tensor")
  }

  /// `bytes` as elements of `tensor`.
  /// - Throws: `InputError` where its type is no weight or an element is not finite.
  func converted(_ bytes: RawSpan, as tensor: TensorDescription) throws(InputError) -> [Float] {
    let values = FloatConversion.floats(bytes, type: tensor.type, count: tensor.elementCount)
    return try checked(values, of: tensor)
  }

  /// The same from a copy of the bytes.
  func converted(_ bytes: [UInt8], as tensor: TensorDescription) throws(InputError) -> [Float] {
    let values = unsafe bytes.withUnsafeBytes {
      FloatConversion.floats(unsafe $0.bytes, type: tensor.type, count: tensor.elementCount)
    }
    return try checked(values, of: tensor)
  }

  /// `values`, unless they are nil because the type is no weight, or one is not finite.
  func checked(_ values: [Float]?, of tensor: TensorDescription) throws(InputError) -> [Float] {
    guard let values else {
      throw InputError(
        path, place: tensor.name, "elements of type \(tensor.type.rawValue) are not read as weights"
      )
    }
    if let index = FloatConversion.firstNonFiniteIndex(values) {
      throw InputError(
        path, place: tensor.name,
        tensor.type == .float64
          ? "element \(index) is not a finite 32-bit number"
          : "element \(index) is not a finite number")
    }
    return values
  }
}
