// The seam between file formats and the models: named tensors, read one at a time.

public import Bytes

/// A checkpoint file of some format whose header has been read and checked.
public protocol TensorSource: Sendable {
  /// Path of the file that holds the tensors.
  var path: String { get }
  /// Name of the format for reports, such as "safetensors".
  var formatName: String { get }
  /// Every tensor, sorted by name; names are unique.
  var tensors: [TensorDescription] { get }

  /// The elements of the tensor `name`, row-major, converted exactly.
  /// - Throws: `InputError` for an unknown name, for a type that `Float` cannot hold exactly, and for
  ///   infinities and NaN, naming the tensor and the index.
  func floats(_ name: String) throws(InputError) -> [Float]
}
