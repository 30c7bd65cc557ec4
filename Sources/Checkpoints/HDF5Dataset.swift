// Where the bytes of one HDF5 dataset lie.

/// A dataset whose places were all found to be inside the file.
struct HDF5Dataset: Sendable {
  enum Storage: Sendable {
    case contiguous
    case chunks(HDF5Chunks)
  }

  var description: TensorDescription
  var storage: Storage

  var name: String { description.name }
}
