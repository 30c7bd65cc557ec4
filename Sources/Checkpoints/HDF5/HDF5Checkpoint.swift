// Keras checkpoints in HDF5: .weights.h5 of Keras 3, and tf_model.h5 and .h5 weights of Keras 2.

public import Bytes

/// Numeric datasets of an HDF5 file under their paths, such as "layers/dense/vars/0".
///
/// The structure is read by code of ours, not by libhdf5, which crashes on damaged files (1.10.8
/// does on one mutant in some hundred thousand), takes a lock, and inflates without bound.
public struct HDF5Checkpoint: TensorSource {
  public let tensors: [TensorDescription]
  private let file: MappedFile
  private let datasets: [HDF5Dataset]
  private let indices: [String: Int]

  public var path: String { file.path }
  public var formatName: String { "HDF5" }

  /// Maps the file and lists its datasets; those that hold no numbers are left out.
  /// - Throws: `InputError` naming the object that is malformed or stored in a way not read.
  public init(path: String) throws(InputError) {
    let file = try MappedFile(path: path)
    datasets = try HDF5Structure(file).datasets
    guard !datasets.isEmpty else {
      throw InputError(path, offset: 0, "the HDF5 file holds no numbers")
    }
    tensors = datasets.map(\.description)
    indices = Dictionary(
      uniqueKeysWithValues: tensors.enumerated().map { ($0.element.name, $0.offset) })
    self.file = file
  }

  public func tensor(_ name: String) throws(InputError) -> TensorDescription {
    guard let index = indices[name] else { throw unknownTensor(name) }
    return tensors[index]
  }

  public func floats(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    guard let index = indices[name] else { throw unknownTensor(name) }
    let tensor = tensors[index]
    guard tensor.type.isReadableAsFloat else { return try checked(nil, of: tensor, from: 0) }
    switch datasets[index].storage {
    case .contiguous: return try floats(of: tensor, in: elements, from: file)
    case .chunks(let chunks):
      let bytes = try chunks.assembled(
        elements, from: file, shape: tensor.shape, elementByteCount: tensor.type.byteCount,
        name: name)
      return try converted(bytes, as: tensor, from: elements.lowerBound)
    }
  }
}
