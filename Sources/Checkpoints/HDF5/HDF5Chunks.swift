// Chunked HDF5 datasets: undoing gzip and shuffle, and putting the chunks together.

import Bytes
import CZlib
import HDF5Reading

/// The chunks of one dataset, and the filters that every one went through, in writing order.
struct HDF5Chunks: Sendable {
  /// Registered numbers of filters.
  enum Filter: UInt16, Sendable {
    case gzip = 1
    case shuffle = 2
    case fletcher32 = 3
  }

  /// Lengths of a chunk along each axis; the last one may reach beyond the dataset.
  var shape: [Int]
  var filters: [Filter]
  var chunks: [HDF5StoredChunk]

  /// Elements `elements` of the dataset, counted row-major, out of the chunks that hold some of
  /// their rows (elements with the same index along the first axis).
  /// - Throws: `InputError` where a chunk does not decode to exactly its size.
  func assembled(
    _ elements: Range<Int>, from file: MappedFile, shape datasetShape: [Int],
    elementByteCount: Int, name: String
  ) throws(InputError) -> [UInt8] {
    guard !elements.isEmpty else { return [] }
    let rowLength = datasetShape.dropFirst().reduce(1, *)
    let rows = elements.lowerBound / rowLength..<(elements.upperBound - 1) / rowLength + 1
    var result = [UInt8](repeating: 0, count: rows.count * rowLength * elementByteCount)
    for chunk in chunks {
      let chunkRows = chunk.start[0]..<chunk.start[0] + shape[0]
      guard chunkRows.overlaps(rows) else { continue }
      let bytes = try decoded(chunk, from: file, elementByteCount: elementByteCount, name: name)
      file.release(chunk.stored)
      copy(
        bytes, of: chunk, rows: chunkRows.clamped(to: rows), into: &result,
        firstRow: rows.lowerBound,
        datasetShape: datasetShape, elementByteCount: elementByteCount)
    }
    let skipped = (elements.lowerBound - rows.lowerBound * rowLength) * elementByteCount
    let wanted = skipped..<skipped + elements.count * elementByteCount
    return wanted.count == result.count ? result : Array(result[wanted])
  }

  private func decoded(
    _ chunk: HDF5StoredChunk, from file: MappedFile, elementByteCount: Int, name: String
  ) throws(InputError) -> [UInt8] {
    func failure(_ cause: String) -> InputError {
      InputError(file.path, place: name, offset: chunk.stored.lowerBound, cause)
    }
    let byteCount = shape.reduce(1, *) * elementByteCount
    var bytes = try file.bytes(in: chunk.stored)
    for (index, filter) in filters.enumerated().reversed()
    where chunk.filterMask >> UInt32(index) & 1 == 0 {
      switch filter {
      case .gzip:
        // What a checksum before gzip adds to a chunk.
        let limit = byteCount + 4 * index
        guard let inflated = HDF5Chunks.inflated(bytes, atMost: limit) else {
          throw failure("a chunk is not gzip data of at most \(limit) bytes")
        }
        bytes = inflated
      case .shuffle: bytes = HDF5Chunks.unshuffled(bytes, elementByteCount: elementByteCount)
      case .fletcher32:
        guard bytes.count >= 4 else { throw failure("a chunk without its checksum") }
        let stored = bytes.suffix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        bytes.removeLast(4)
        let sums = ((stored >> 16) % 65535, (stored & 0xffff) % 65535)
        guard HDF5Chunks.fletcher32(bytes) == sums else {
          throw failure("the checksum of a chunk is wrong")
        }
      }
    }
    guard bytes.count == byteCount else {
      throw failure("a chunk has \(bytes.count) bytes, \(byteCount) are expected")
    }
    return bytes
  }

  /// zlib data that inflates to at most `limit` bytes and has no bytes behind it; else nil.
  private static func inflated(_ bytes: [UInt8], atMost limit: Int) -> [UInt8]? {
    var isWhole = false
    let result = unsafe [UInt8](unsafeUninitializedCapacity: limit) { target, count in
      var targetCount = uLongf(limit)
      var sourceCount = uLong(bytes.count)
      let status = unsafe bytes.withUnsafeBufferPointer { source in
        unsafe uncompress2(target.baseAddress, &targetCount, source.baseAddress, &sourceCount)
      }
      isWhole = status == Z_OK && sourceCount == bytes.count
      count = isWhole ? Int(targetCount) : 0
    }
    return isWhole ? result : nil
  }

  /// The inverse of shuffle: byte i of every element lies together; a rest stays at the end.
  private static func unshuffled(_ bytes: [UInt8], elementByteCount: Int) -> [UInt8] {
    guard elementByteCount > 1 else { return bytes }
    let count = bytes.count / elementByteCount
    return unsafe [UInt8](unsafeUninitializedCapacity: bytes.count) { target, filled in
      for byte in 0..<elementByteCount {
        for element in 0..<count {
          unsafe target[element * elementByteCount + byte] = bytes[byte * count + element]
        }
      }
      for index in count * elementByteCount..<bytes.count { unsafe target[index] = bytes[index] }
      filled = bytes.count
    }
  }

  /// HDF5's Fletcher checksum (H5_checksum_fletcher32): big-endian 16-bit words, modulo 65535.
  ///
  /// Both sums are smaller than 65535; libhdf5 may write 65535 for 0.
  private static func fletcher32(_ bytes: [UInt8]) -> (second: UInt32, first: UInt32) {
    var (first, second): (UInt32, UInt32) = (0, 0)
    for word in 0..<(bytes.count + 1) / 2 {
      let low = 2 * word + 1 < bytes.count ? UInt32(bytes[2 * word + 1]) : 0
      first = (first + (UInt32(bytes[2 * word]) << 8 | low)) % 65535
      second = (second + first) % 65535
    }
    return (second, first)
  }

  /// Copies `rows` of a chunk, as far as they lie in the dataset, run by run along the last axis.
  private func copy(
    _ bytes: [UInt8], of chunk: HDF5StoredChunk, rows: Range<Int>, into result: inout [UInt8],
    firstRow: Int, datasetShape: [Int], elementByteCount: Int
  ) {
    // Where the copied part begins in the chunk, and how long it is along each axis.
    var first = [Int](repeating: 0, count: shape.count)
    first[0] = rows.lowerBound - chunk.start[0]
    var lengths = zip(shape, zip(datasetShape, chunk.start)).map { min($0, $1.0 - $1.1) }
    lengths[0] = min(rows.count, datasetShape[0] - rows.lowerBound)
    let rank = shape.count
    let runByteCount = lengths[rank - 1] * elementByteCount
    var position = [Int](repeating: 0, count: rank)
    for _ in 0..<lengths.dropLast().reduce(1, *) {
      var (source, target) = (0, 0)
      for axis in 0..<rank {
        let place = first[axis] + position[axis]
        source = source * shape[axis] + place
        target =
          target * datasetShape[axis] + chunk.start[axis] + place - (axis == 0 ? firstRow : 0)
      }
      let from = source * elementByteCount
      let to = target * elementByteCount
      result.replaceSubrange(to..<to + runByteCount, with: bytes[from..<from + runByteCount])
      var axis = rank - 2
      while axis >= 0 {
        position[axis] += 1
        if position[axis] < lengths[axis] { break }
        position[axis] = 0
        axis -= 1
      }
    }
  }
}
