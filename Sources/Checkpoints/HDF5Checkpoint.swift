// Keras checkpoints in HDF5: .weights.h5 of Keras 3, and tf_model.h5 and .h5 weights of Keras 2.

public import Bytes
import HDF5Library

/// Numeric datasets of an HDF5 file under their paths, such as "layers/dense/vars/0".
///
/// libhdf5 reads the structure; the bytes are then taken from the mapped file, so that reading
/// needs no lock and inflates no more than a chunk's own size.
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
    try HDF5Checkpoint.checkSuperblock(file)
    datasets = try HDF5.locked(source: path) { () throws(InputError) in
      var structure = try HDF5Structure(path: path, fileByteCount: file.byteCount)
      try structure.visitAll()
      return structure.datasets.sorted { $0.name < $1.name }
    }
    guard !datasets.isEmpty else { throw InputError(path, "the HDF5 file holds no numbers") }
    tensors = datasets.map(\.description)
    indices = Dictionary(
      uniqueKeysWithValues: tensors.enumerated().map { ($0.element.name, $0.offset) })
    self.file = file
  }

  public func floats(_ name: String) throws(InputError) -> [Float] {
    guard let index = indices[name] else { throw unknownTensor(name) }
    let tensor = tensors[index]
    guard tensor.type.isReadableAsFloat else { return try checked(nil, of: tensor) }
    switch datasets[index].storage {
    case .contiguous:
      return try file.withBytes { (bytes) throws(InputError) in
        try converted(bytes.extracting(tensor.byteRange), as: tensor)
      }
    case .chunks(let chunks):
      let bytes = try chunks.assembled(
        from: file, shape: tensor.shape, elementByteCount: tensor.type.byteCount, name: name)
      return try converted(bytes, as: tensor)
    }
  }

  /// Signature and version, before libhdf5 sees any of the file.
  private static func checkSuperblock(_ file: MappedFile) throws(InputError) {
    var cursor = ByteCursor(file)
    guard try cursor.integer(UInt64.self, "signature") == 0x0a1a_0a0d_4644_4889 else {
      throw cursor.failure("is not an HDF5 file", at: 0)
    }
    let version = try cursor.integer(UInt8.self, "superblock version")
    guard version <= 3 else {
      throw cursor.failure("HDF5 superblock version \(version), only 0 to 3 are read", at: 8)
    }
  }
}
