// Datasets of an untrusted container: type, shape, storage and every stored range are checked.

import Bytes
import CHDF5

extension HDF5Input {
  /// Checks one dataset; nothing is allocated that the file could not back with bytes.
  func dataset(
    _ id: hid_t, name: String, attributeCount: Int
  ) throws(InputError) -> StoredDataset {
    guard attributeCount == 1 else {
      throw InputError(path, place: name, "\(attributeCount) attributes where 1 is expected")
    }
    // Before anything else: a virtual or external dataset would make libhdf5 open other files.
    let list = try HDF5Handle(
      H5Dget_create_plist(id), source: path, place: name, "the dataset cannot be read")
    let layout = H5Pget_layout(list.id)
    guard layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED else {
      throw InputError(path, place: name, "compact and virtual datasets are not allowed")
    }
    guard H5Pget_external_count(list.id) == 0 else {
      throw InputError(path, place: name, "external storage is not allowed")
    }
    let sha256 = try digest(of: id, ContainerFormat.datasetAttribute, place: name)
    let space = try HDF5Handle(
      H5Dget_space(id), source: path, place: name, "the shape cannot be read")
    guard H5Sget_simple_extent_type(space.id) == H5S_SIMPLE else {
      throw InputError(path, place: name, "rank 0 is outside 1...3")
    }
    let description = DatasetDescription(
      name: name, elementType: try elementType(of: id, name: name),
      shape: try shape(of: space.id, place: name),
      storage: layout == H5D_CHUNKED ? .zstd : .raw)
    try description.validateSize(source: path)
    let location: StoredDataset.Location =
      layout == H5D_CHUNKED
      ? try chunks(of: id, list: list.id, space: space.id, description)
      : .raw(offset: try rawOffset(of: id, description))
    return StoredDataset(description: description, sha256: sha256, location: location)
  }

  private func elementType(of dataset: hid_t, name: String) throws(InputError) -> ElementType {
    let type = try HDF5Handle(
      H5Dget_type(dataset), source: path, place: name, "the element type cannot be read")
    for candidate in ElementType.allCases where H5Tequal(type.id, candidate.hdf5Type) > 0 {
      return candidate
    }
    throw InputError(path, place: name, "the element type is not one of u8 to f64, little endian")
  }

  private func rawOffset(
    of dataset: hid_t, _ description: DatasetDescription
  ) throws(InputError) -> Int {
    let byteCount = description.byteCount
    guard byteCount > 0 else { return 0 }
    let offset = lodge_hdf5_contiguous_offset(dataset)
    guard offset > 0, H5Dget_storage_size(dataset) == byteCount else {
      throw InputError(
        path, place: description.name, "the file does not hold its \(byteCount) bytes")
    }
    return try range(offset, UInt64(byteCount), description.name).lowerBound
  }

  /// `offset..<offset + byteCount` where it lies behind the superblock and in the file.
  private func range(
    _ offset: UInt64, _ byteCount: UInt64, _ name: String
  ) throws(InputError) -> Range<Int> {
    let end = offset.addingReportingOverflow(byteCount)
    guard offset >= Superblock.byteCount, !end.overflow, end.partialValue <= UInt64(fileByteCount)
    else {
      throw InputError(
        path, place: name,
        "\(byteCount) bytes at \(offset) are outside the file of \(fileByteCount) bytes")
    }
    return Int(offset)..<Int(end.partialValue)
  }

  private func chunks(
    of dataset: hid_t, list: hid_t, space: hid_t, _ description: DatasetDescription
  ) throws(InputError) -> StoredDataset.Location {
    let name = description.name
    try requireZstd(list, name: name)
    let shape = description.shape
    var extents = [hsize_t](repeating: 0, count: shape.count)
    guard unsafe H5Pget_chunk(list, Int32(shape.count), &extents) == shape.count,
      let rows = Int(exactly: extents[0]), rows >= 1, rows <= max(shape[0], 1),
      zip(extents, shape).dropFirst().allSatisfy({ $0 == hsize_t(max($1, 1)) })
    else { throw InputError(path, place: name, "chunks are not whole rows of the dataset") }
    let layout = ChunkLayout(
      shape: shape, elementByteCount: description.elementType.byteCount, rowsPerChunk: rows)
    guard layout.chunkByteCount <= ContainerFormat.maximumChunkByteCount,
      layout.chunkCount <= ContainerFormat.maximumChunkCount
    else {
      throw InputError(
        path, place: name,
        "\(layout.chunkCount) chunks of \(layout.chunkByteCount) bytes;"
          + " at most 4096 of 2^28 are allowed")
    }
    var stored: hsize_t = 0
    guard unsafe H5Dget_num_chunks(dataset, space, &stored) >= 0 else {
      throw HDF5.failure(path, place: name, "the chunks cannot be read")
    }
    guard stored == layout.chunkCount else {
      throw InputError(
        path, place: name, "\(stored) chunks are stored where \(layout.chunkCount) are expected")
    }
    return .chunks(layout, try chunkRanges(of: dataset, space: space, layout, description))
  }

  private func requireZstd(_ list: hid_t, name: String) throws(InputError) {
    var flags: UInt32 = 0
    var count = 0
    guard H5Pget_nfilters(list) == 1,
      unsafe H5Pget_filter2(list, 0, &flags, &count, nil, 0, nil, nil) == LODGE_HDF5_ZSTD_FILTER
    else { throw InputError(path, place: name, "chunks must have the filter 32015 and no other") }
  }

  private func chunkRanges(
    of dataset: hid_t, space: hid_t, _ layout: ChunkLayout, _ description: DatasetDescription
  ) throws(InputError) -> [Range<Int>] {
    let name = description.name
    var ranges = [Range<Int>?](repeating: nil, count: layout.chunkCount)
    var offset = [hsize_t](repeating: 0, count: description.shape.count)
    for index in 0..<layout.chunkCount {
      var mask: UInt32 = 0
      var address: UInt64 = 0
      var byteCount: UInt64 = 0
      var hasAddress: Int32 = 0
      guard
        unsafe lodge_hdf5_chunk_info(
          dataset, space, hsize_t(index), &offset, &mask, &address, &byteCount, &hasAddress) >= 0
      else { throw HDF5.failure(path, place: name, "chunk \(index) cannot be read") }
      let row = offset[0] / hsize_t(layout.rowsPerChunk)
      guard hasAddress != 0, mask == 0, row < layout.chunkCount,
        offset[0] % hsize_t(layout.rowsPerChunk) == 0, offset.dropFirst().allSatisfy({ $0 == 0 }),
        ranges[Int(row)] == nil
      else { throw InputError(path, place: name, "chunk \(index) is missing or misplaced") }
      ranges[Int(row)] = try range(address, byteCount, name)
    }
    return ranges.compactMap(\.self)
  }
}
