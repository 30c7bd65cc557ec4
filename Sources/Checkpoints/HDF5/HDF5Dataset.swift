// One HDF5 dataset: type, shape, layout and every stored range are checked before they are used.

import Bytes
import HDF5Reading

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
    guard let type = try HDF5Dataset.elementType(datatype, name: name) else { return nil }
    let shape = try HDF5Dataset.shape(dataspace, name: name)
    guard let count = TensorDescription.elementCount(shape),
      let byteCount = type.byteCount(ofElements: count)
    else { throw failure("the byte count of shape \(shape) of \(type.rawValue) overflows") }
    var description = TensorDescription(name: name, shape: shape, type: type, byteRange: 0..<0)
    switch try HDF5Layout(layoutMessage, generation: .classic, name: name) {
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
    case .chunked(let lengths, let elementByteCount, let index):
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
      let filters = try header.one(.filters).map(HDF5Dataset.filters) ?? []
      let grid = HDF5ChunkGrid(
        datasetShape: shape, chunkShape: lengths, elementByteCount: elementByteCount)
      let limit = AllocationLimit.byteCount(fileByteCount: file.byteCount)
      // Chunks may share their bytes, so that decoding all of them takes time whatever the file's
      // size.
      guard let byteCounts = grid.byteCounts, byteCounts.chunk <= limit / 8,
        byteCounts.all / 2 <= limit
      else {
        throw InputError(
          file.path, place: name, offset: index.statedAt,
          "chunks of shape \(lengths) for shape \(shape) are beyond what a file "
            + "of \(file.byteCount) bytes holds")
      }
      let chunks = HDF5Chunks(
        shape: lengths, filters: filters,
        chunks: try index.chunks(file, grid: grid, name: name, budget: &budget))
      description.byteRange = 0..<chunks.chunks.reduce(0) { $0 + $1.stored.count }
      self.description = description
      storage = .chunks(chunks)
      return
    }
    self.description = description
    storage = .contiguous
  }

  /// Lengths along all axes.
  private static func shape(_ message: ByteCursor, name: String) throws(InputError) -> [Int] {
    let space = try HDF5Dataspace(message, name: name)
    func failure(_ cause: String) -> InputError {
      InputError(message.file.path, place: name, offset: message.position, cause)
    }
    guard space.kind != .null else { throw failure("the dataset has no value") }
    var lengths: [Int] = []
    for extent in space.extents {
      guard let length = Int(exactly: extent) else {
        throw failure("an axis of \(extent) elements")
      }
      lengths.append(length)
    }
    return lengths
  }

  /// The type of weights and counts, or nil where it is not of numbers.
  /// - Throws: `InputError` for floating-point types that are not read: they would be weights.
  private static func elementType(_ message: ByteCursor, name: String) throws(InputError)
    -> ElementType?
  {
    switch try HDF5Datatype(message) {
    case .integer(byteCount: 1, let isSigned): return isSigned ? .int8 : .uint8
    case .integer(byteCount: 2, isSigned: true): return .int16
    case .integer(byteCount: 4, isSigned: true): return .int32
    case .integer(byteCount: 8, isSigned: true): return .int64
    case .float(byteCount: 2): return .float16
    case .float(byteCount: 4): return .float32
    case .float(byteCount: 8): return .float64
    case .otherFloat:
      throw InputError(
        message.file.path, place: name, offset: message.position,
        "its floating-point type is not little-endian F16, F32 or F64")
    case .integer, .float, .text, .other: return nil
    }
  }

  /// The filters that are undone here.
  private static func filters(_ message: ByteCursor) throws(InputError) -> [HDF5Chunks.Filter] {
    var result: [HDF5Chunks.Filter] = []
    for found in try HDF5Layout.filters(message) {
      guard let filter = HDF5Chunks.Filter(rawValue: found.number) else {
        throw message.failure(
          "filter \(found.number) is not read, only gzip, shuffle and fletcher32 are",
          at: found.statedAt, hint: "rewrite the file: h5repack -f NONE in.h5 out.h5")
      }
      result.append(filter)
    }
    return result
  }
}
