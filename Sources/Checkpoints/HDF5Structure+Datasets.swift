// Datasets of an untrusted HDF5 file: type, shape, layout and every stored range are checked.

import Bytes
import CHDF5
import HDF5Library

extension HDF5Structure {
  /// libhdf5 walks its list from the start for each chunk, so many chunks take long.
  private static let maximumChunkCount = 1 << 13
  private static let maximumRank = 16

  /// The dataset, or nil where it holds no numbers.
  mutating func dataset(_ id: hid_t, name: String) throws(InputError) -> HDF5Dataset? {
    // Before anything else: a virtual or external dataset would make libhdf5 open other files.
    let list = try HDF5Handle(
      H5Dget_create_plist(id), source: path, place: name, "the dataset cannot be read")
    let layout = H5Pget_layout(list.id)
    guard layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED else {
      throw InputError(path, place: name, "compact and virtual datasets are not read")
    }
    guard H5Pget_external_count(list.id) == 0 else {
      throw InputError(path, place: name, "external storage is not read")
    }
    guard let type = try elementType(of: id, name: name) else { return nil }
    let space = try HDF5Handle(
      H5Dget_space(id), source: path, place: name, "the shape cannot be read")
    let shape = try shape(of: space.id, name: name)
    guard let count = TensorDescription.elementCount(shape),
      let byteCount = type.byteCount(ofElements: count),
      byteCount <= AllocationLimit.byteCount(fileByteCount: fileByteCount)
    else {
      throw InputError(
        path, place: name,
        "shape \(shape) of \(type.rawValue) is beyond what a file of \(fileByteCount) bytes holds")
    }
    var description = TensorDescription(name: name, shape: shape, type: type, byteRange: 0..<0)
    guard layout == H5D_CHUNKED else {
      guard byteCount > 0 else {
        return HDF5Dataset(description: description, storage: .contiguous)
      }
      let offset = lodge_hdf5_contiguous_offset(id)
      guard offset > 0, H5Dget_storage_size(id) == byteCount else {
        throw InputError(path, place: name, "the file does not hold its \(byteCount) bytes")
      }
      description.byteRange = try range(offset, UInt64(byteCount), name)
      return HDF5Dataset(description: description, storage: .contiguous)
    }
    let chunks = try chunks(of: id, list: list.id, space: space.id, description)
    description.byteRange = 0..<chunks.chunks.reduce(0) { $0 + $1.stored.count }
    return HDF5Dataset(description: description, storage: .chunks(chunks))
  }

  private func elementType(of dataset: hid_t, name: String) throws(InputError) -> ElementType? {
    let type = try HDF5Handle(
      H5Dget_type(dataset), source: path, place: name, "the element type cannot be read")
    let known: [(Int32, ElementType)] = [
      (8, .float32), (9, .float64), (0, .uint8), (4, .int8), (5, .int16), (6, .int32), (7, .int64),
    ]
    for (index, element) in known where H5Tequal(type.id, lodge_hdf5_stored_type(index)) > 0 {
      return element
    }
    if lodge_hdf5_is_half(type.id) != 0 { return .float16 }
    // A floating-point type that is not known would be a weight left out.
    guard H5Tget_class(type.id) != H5T_FLOAT else {
      throw InputError(path, place: name, "its floating-point type is not F16, F32 or F64")
    }
    return nil
  }

  private func shape(of space: hid_t, name: String) throws(InputError) -> [Int] {
    switch H5Sget_simple_extent_type(space) {
    case H5S_SCALAR: return []
    case H5S_SIMPLE: break
    default: throw InputError(path, place: name, "the dataset has no value")
    }
    let rank = Int(H5Sget_simple_extent_ndims(space))
    guard (1...HDF5Structure.maximumRank).contains(rank) else {
      throw InputError(path, place: name, "rank \(rank) is outside 0...16")
    }
    var extents = [hsize_t](repeating: 0, count: rank)
    guard unsafe H5Sget_simple_extent_dims(space, &extents, nil) == rank else {
      throw HDF5.failure(path, place: name, "the shape cannot be read")
    }
    guard extents.allSatisfy({ $0 <= hsize_t(Int.max) }) else {
      throw InputError(path, place: name, "shape \(extents) overflows")
    }
    return extents.map { Int($0) }
  }

  private func range(_ offset: UInt64, _ byteCount: UInt64, _ name: String) throws(InputError)
    -> Range<Int>
  {
    let (end, overflow) = offset.addingReportingOverflow(byteCount)
    guard !overflow, end <= UInt64(fileByteCount) else {
      throw InputError(
        path, place: name,
        "\(byteCount) bytes at byte \(offset) are outside the file of \(fileByteCount) bytes")
    }
    return Int(offset)..<Int(end)
  }

  private mutating func chunks(
    of dataset: hid_t, list: hid_t, space: hid_t, _ description: TensorDescription
  ) throws(InputError) -> HDF5Chunks {
    let (name, rank) = (description.name, description.shape.count)
    var extents = [hsize_t](repeating: 0, count: max(rank, 1))
    guard rank > 0, unsafe H5Pget_chunk(list, Int32(rank), &extents) == rank else {
      throw HDF5.failure(path, place: name, "the shape of the chunks cannot be read")
    }
    let shape = extents.map { Int(clamping: $0) }
    guard shape.allSatisfy({ $0 > 0 }), let elementCount = TensorDescription.elementCount(shape),
      let byteCount = description.type.byteCount(ofElements: elementCount),
      byteCount <= AllocationLimit.byteCount(fileByteCount: fileByteCount)
    else {
      throw InputError(
        path, place: name,
        "chunks of shape \(shape) are beyond what a file of \(fileByteCount) bytes holds")
    }
    let counts = zip(description.shape, shape).map { ($0 - 1) / $1 + 1 }
    let expected =
      description.elementCount == 0 ? 0 : TensorDescription.elementCount(counts) ?? Int.max
    guard expected <= HDF5Structure.maximumChunkCount,
      expected * (expected + 1) / 2 <= remainingChunkSteps
    else {
      throw InputError(
        path, place: name,
        "has \(expected) chunks, at most \(HDF5Structure.maximumChunkCount) are read",
        hint: "make it contiguous: h5repack -l CONTI in.h5 out.h5")
    }
    remainingChunkSteps -= expected * (expected + 1) / 2
    var result = HDF5Chunks(shape: shape, filters: try filters(of: list, name: name), chunks: [])
    var stored: hsize_t = 0
    guard unsafe H5Dget_num_chunks(dataset, space, &stored) >= 0 else {
      throw HDF5.failure(path, place: name, "the chunks cannot be read")
    }
    guard stored == expected else {
      throw InputError(
        path, place: name, "\(stored) chunks are stored where \(expected) are expected")
    }
    var seen: Set<[Int]> = []
    for index in 0..<expected {
      let chunk = try chunk(index, of: dataset, space: space, description, shape: shape)
      guard seen.insert(chunk.start).inserted else {
        throw InputError(path, place: name, "a second chunk at \(chunk.start)")
      }
      result.chunks.append(chunk)
    }
    return result
  }

  private func chunk(
    _ index: Int, of dataset: hid_t, space: hid_t, _ description: TensorDescription, shape: [Int]
  ) throws(InputError) -> HDF5Chunks.Chunk {
    var offset = [hsize_t](repeating: 0, count: shape.count)
    var mask: UInt32 = 0
    var address: UInt64 = 0
    var byteCount: UInt64 = 0
    var hasAddress: Int32 = 0
    guard
      unsafe lodge_hdf5_chunk_info(
        dataset, space, hsize_t(index), &offset, &mask, &address, &byteCount, &hasAddress) >= 0
    else { throw HDF5.failure(path, place: description.name, "chunk \(index) cannot be read") }
    let start = offset.map { Int(clamping: $0) }
    let isInGrid = zip(start, zip(shape, description.shape)).allSatisfy { start, lengths in
      start.isMultiple(of: lengths.0) && start < lengths.1
    }
    guard hasAddress != 0, isInGrid else {
      throw InputError(path, place: description.name, "chunk \(index) is missing or misplaced")
    }
    return HDF5Chunks.Chunk(
      start: start, stored: try range(address, byteCount, description.name), filterMask: mask)
  }

  private func filters(of list: hid_t, name: String) throws(InputError) -> [HDF5Chunks.Filter] {
    var result: [HDF5Chunks.Filter] = []
    for index in 0..<max(H5Pget_nfilters(list), 0) {
      var flags: UInt32 = 0
      var count = 0
      let number = unsafe H5Pget_filter2(list, UInt32(index), &flags, &count, nil, 0, nil, nil)
      guard let filter = HDF5Chunks.Filter(rawValue: number), result.count < 32 else {
        throw InputError(
          path, place: name, "filter \(number) is not read, only gzip, shuffle and fletcher32 are",
          hint: "rewrite the file: h5repack -f NONE in.h5 out.h5")
      }
      result.append(filter)
    }
    return result
  }
}
