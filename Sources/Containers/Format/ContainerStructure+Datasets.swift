// Datasets of an untrusted container: type, shape, storage and every stored range are checked.

import Bytes
import HDF5Reading

extension ContainerStructure {
  /// Checks one dataset; nothing is allocated that the file could not back with bytes.
  mutating func dataset(_ object: HDF5ObjectHeader, name: String) throws(InputError)
    -> StoredDataset
  {
    let path = file.path
    let attributes = try object.attributes(in: file, budget: &budget)
    guard attributes.count == 1 else {
      throw InputError(path, place: name, "\(attributes.count) attributes where 1 is expected")
    }
    guard !object.has(.externalFiles) else {
      throw InputError(path, place: name, "external storage is not allowed")
    }
    guard let layoutMessage = try object.one(.layout), let type = try object.one(.datatype),
      let spaceMessage = try object.one(.dataspace)
    else { throw InputError(path, place: name, "a dataset without type, shape or layout") }
    let layout = try HDF5Layout(layoutMessage, generation: .checksummed, name: name)
    guard let attribute = attributes.first, attribute.name == ContainerFormat.datasetAttribute
    else {
      throw InputError(
        path, place: name, "the attribute \(ContainerFormat.datasetAttribute) is missing")
    }
    let sha256 = try attribute.digest(place: name)
    let space = try HDF5Dataspace(spaceMessage, name: name)
    let isChunked = if case .chunked = layout { true } else { false }
    let description = DatasetDescription(
      name: name, elementType: try elementType(type, name: name),
      shape: try shape(of: space, name: name), storage: isChunked ? .zstd : .raw)
    try description.validateSize(source: path)
    return StoredDataset(
      description: description, sha256: sha256,
      location: try location(layout, description, filters: object.one(.filters)))
  }

  private func elementType(_ message: ByteCursor, name: String) throws(InputError) -> ElementType {
    switch try HDF5Datatype(message) {
    case .integer(byteCount: 1, let isSigned): return isSigned ? .i8 : .u8
    case .integer(byteCount: 2, let isSigned): return isSigned ? .i16 : .u16
    case .integer(byteCount: 4, let isSigned): return isSigned ? .i32 : .u32
    case .integer(byteCount: 8, let isSigned): return isSigned ? .i64 : .u64
    case .float(byteCount: 4): return .f32
    case .float(byteCount: 8): return .f64
    case .integer, .float, .otherFloat, .text, .other:
      throw InputError(
        file.path, place: name, "the element type is not one of u8 to f64, little endian")
    }
  }

  /// Extents of a simple space of rank 1 to 3 that cannot grow.
  private func shape(of space: HDF5Dataspace, name: String) throws(InputError) -> [Int] {
    let rank = space.kind == .simple ? space.extents.count : 0
    guard (1...3).contains(rank) else {
      throw InputError(file.path, place: name, "rank \(rank) is outside 1...3")
    }
    guard !space.canGrow else {
      throw InputError(file.path, place: name, "a shape that can grow is not allowed")
    }
    guard space.extents.allSatisfy({ $0 <= ContainerFormat.maximumDatasetByteCount }) else {
      throw InputError(file.path, place: name, "shape \(space.extents) is beyond 2^50 bytes")
    }
    return space.extents.map { Int($0) }
  }

  private mutating func location(
    _ layout: HDF5Layout, _ description: DatasetDescription, filters: ByteCursor?
  ) throws(InputError) -> StoredDataset.Location {
    let name = description.name
    switch layout {
    case .compact: throw InputError(file.path, place: name, "compact datasets are not allowed")
    case .contiguous(let address, let storedByteCount):
      let byteCount = description.byteCount
      guard byteCount > 0 else { return .raw(offset: 0) }
      guard !address.isUndefined, storedByteCount == UInt64(byteCount) else {
        throw InputError(file.path, place: name, "the file does not hold its \(byteCount) bytes")
      }
      var data = try ByteCursor(file, at: address, "dataset")
      return .raw(offset: try inside(data.skip(byteCount, "dataset"), name).lowerBound)
    case .chunked(let lengths, let elementByteCount, let index):
      let numbers = try filters.map(HDF5Layout.filters)?.map(\.number)
      guard numbers == [ContainerFormat.zstdFilter] else {
        throw InputError(
          file.path, place: name, "chunks must have the filter 32015 and no other")
      }
      guard elementByteCount == description.elementType.byteCount,
        lengths.count == description.shape.count
      else {
        throw InputError(file.path, place: name, "chunks of other elements or another rank")
      }
      let (layout, ranges) = try chunks(lengths, index, description)
      return .chunks(layout, ranges)
    }
  }

  /// Where the chunks of a dataset lie, in order.
  private mutating func chunks(
    _ lengths: [Int], _ index: HDF5ChunkIndex, _ description: DatasetDescription
  ) throws(InputError) -> (ChunkLayout, [Range<Int>]) {
    let name = description.name
    let shape = description.shape
    let rows = lengths[0]
    guard rows >= 1, rows <= max(shape[0], 1),
      zip(lengths, shape).dropFirst().allSatisfy({ $0 == max($1, 1) })
    else {
      throw InputError(file.path, place: name, "chunks are not whole rows of the dataset")
    }
    let layout = ChunkLayout(
      shape: shape, elementByteCount: description.elementType.byteCount, rowsPerChunk: rows)
    guard layout.chunkByteCount <= ContainerFormat.maximumChunkByteCount,
      layout.chunkCount <= ContainerFormat.maximumChunkCount
    else {
      throw InputError(
        file.path, place: name,
        "\(layout.chunkCount) chunks of \(layout.chunkByteCount) bytes;"
          + " at most 1024 of 2^22 are allowed")
    }
    let grid = HDF5ChunkGrid(
      datasetShape: shape, chunkShape: lengths,
      elementByteCount: description.elementType.byteCount)
    let stored = try index.chunks(file, grid: grid, name: name, budget: &budget)
      .sorted { $0.start[0] < $1.start[0] }
    var ranges: [Range<Int>] = []
    for (index, chunk) in stored.enumerated() {
      guard chunk.filterMask == 0 else {
        throw InputError(file.path, place: name, "chunk \(index) is not compressed")
      }
      ranges.append(try inside(chunk.stored, name))
    }
    return (layout, ranges)
  }

  /// `range` where it lies behind the superblock.
  private func inside(_ range: Range<Int>, _ name: String) throws(InputError) -> Range<Int> {
    guard range.lowerBound >= HDF5Superblock.byteCount else {
      throw InputError(file.path, place: name, "lies in the superblock")
    }
    return range
  }
}
