// One HDF5 dataset: type, shape, layout and every stored range are checked before they are used.

import Bytes

/// A dataset whose places were all found to be inside the file.
struct HDF5Dataset: Sendable {
  enum Storage: Sendable {
    case contiguous
    case chunks(HDF5Chunks)
  }

  let description: TensorDescription
  let storage: Storage
  /// Where its object header begins.
  let address: Int

  var name: String { description.name }

  /// The dataset of `header`, or nil where it holds no numbers.
  init?(
    _ header: HDF5ObjectHeader, name: String, in file: MappedFile, budget: inout HDF5Budget
  ) throws(InputError) {
    func failure(_ cause: String, hint: String = "") -> InputError {
      InputError(file.path, place: name, offset: header.address, cause, hint: hint)
    }
    address = header.address
    guard !header.has(.externalFiles) else { throw failure("external storage is not read") }
    guard let datatype = try header.one(.datatype), let dataspace = try header.one(.dataspace),
      let layoutMessage = try header.one(.layout)
    else { throw failure("a dataset without type, shape or layout") }
    guard let type = try HDF5Datatype.elementType(datatype, name: name) else { return nil }
    let shape = try HDF5Dataset.shape(dataspace, name: name)
    guard let count = TensorDescription.elementCount(shape),
      let byteCount = type.byteCount(ofElements: count)
    else { throw failure("the byte count of shape \(shape) of \(type.rawValue) overflows") }
    var description = TensorDescription(name: name, shape: shape, type: type, byteRange: 0..<0)
    switch try HDF5Layout(layoutMessage, name: name) {
    case .contiguous(let address, let storedByteCount):
      guard byteCount > 0 else { break }
      guard !address.isUndefined, storedByteCount == UInt64(byteCount) else {
        throw failure("the file does not hold its \(byteCount) bytes")
      }
      var data = try ByteCursor(file, at: address, "dataset")
      description.byteRange = try data.skip(byteCount, name)
    case .compact(let range):
      guard range.count == byteCount else {
        throw failure("\(range.count) compact bytes where \(byteCount) are expected")
      }
      description.byteRange = range
    case .chunked(let lengths, let elementByteCount, let tree):
      guard byteCount <= AllocationLimit.repeatedByteCount(fileByteCount: file.byteCount) else {
        throw failure(
          "shape \(shape) of \(type.rawValue) is beyond what a file of \(file.byteCount) bytes "
            + "holds")
      }
      guard lengths.count == shape.count, lengths.allSatisfy({ $0 > 0 }),
        elementByteCount == type.byteCount
      else {
        throw failure(
          "chunks of shape \(lengths) and \(elementByteCount) bytes an element do not fit shape "
            + "\(shape) of \(type.rawValue)")
      }
      let filters = try header.one(.filters)
      let chunks = HDF5Chunks(
        shape: lengths, filters: try filters.map(HDF5Layout.filters) ?? [],
        chunks: try HDF5ChunkTree.chunks(
          file, at: tree,
          grid: HDF5ChunkTree.Grid(
            datasetShape: shape, chunkShape: lengths, elementByteCount: elementByteCount),
          name: name, budget: &budget))
      description.byteRange = 0..<chunks.chunks.reduce(0) { $0 + $1.stored.count }
      self.description = description
      storage = .chunks(chunks)
      return
    }
    self.description = description
    storage = .contiguous
  }

  /// A dataspace message (section IV.A.2.b).
  private static func shape(_ message: ByteCursor, name: String) throws(InputError) -> [Int] {
    var cursor = message
    func failure(_ cause: String) -> InputError {
      InputError(message.file.path, place: name, offset: message.position, cause)
    }
    let version = try cursor.integer(UInt8.self, "dataspace version")
    let rank = Int(try cursor.integer(UInt8.self, "rank"))
    _ = try cursor.skip(1, "dataspace flags")
    let kind = try cursor.integer(UInt8.self, "dataspace type")
    guard version == 1 || version == 2 else {
      throw failure("dataspace version \(version) is not read")
    }
    guard version == 1 || kind != 2 else { throw failure("the dataset has no value") }
    guard rank <= 16 else { throw failure("rank \(rank), at most 16 is read") }
    if version == 1 { _ = try cursor.skip(4, "reserved bytes") }
    var lengths: [Int] = []
    for _ in 0..<rank {
      let length = try cursor.integer(UInt64.self, "length")
      guard let length = Int(exactly: length) else {
        throw failure("an axis of \(length) elements")
      }
      lengths.append(length)
    }
    return lengths
  }
}
