// How a zstd dataset is cut into chunks, and the compression of one chunk.

import Bytes
import CZstd

/// Chunks of whole rows (all of axes 2 and 3); the last one is padded with zeros to full length.
struct ChunkLayout: Equatable, Sendable {
  let rowCount: Int
  let rowByteCount: Int
  let rowsPerChunk: Int
  let isEmpty: Bool

  /// The layout that our writer uses: about 1 MiB, and at most 1024 chunks.
  init(shape: [Int], elementByteCount: Int) {
    let rowByteCount = shape.dropFirst().reduce(elementByteCount) { $0 * max($1, 1) }
    let preferred = max(
      1, ContainerFormat.preferredChunkByteCount / rowByteCount,
      (shape[0] + ContainerFormat.maximumChunkCount - 1) / ContainerFormat.maximumChunkCount)
    self.init(
      shape: shape, elementByteCount: elementByteCount,
      rowsPerChunk: max(1, min(shape[0], preferred)))
  }

  /// The layout of a file that states `rowsPerChunk` itself.
  init(shape: [Int], elementByteCount: Int, rowsPerChunk: Int) {
    self.rowCount = shape[0]
    self.rowByteCount = shape.dropFirst().reduce(elementByteCount) { $0 * max($1, 1) }
    self.rowsPerChunk = rowsPerChunk
    self.isEmpty = shape.contains(0)
  }

  var chunkCount: Int { isEmpty ? 0 : (rowCount - 1) / rowsPerChunk + 1 }
  var chunkByteCount: Int { rowsPerChunk * rowByteCount }
  var byteCount: Int { isEmpty ? 0 : rowCount * rowByteCount }

  /// Bytes of the dataset that chunk `index` holds, without padding.
  func byteRange(ofChunk index: Int) -> Range<Int> {
    let start = index * chunkByteCount
    return start..<min(start + chunkByteCount, byteCount)
  }
}

/// Zstandard frames that state their content size.
enum ZstdFrame {
  /// Enough bytes to read the content size from any frame.
  static let headerByteCount = 18
  /// No frame can be smaller than its content by more: 4 bytes make a block of 128 KiB.
  static let maximumRatio = 1 << 15

  /// One frame with `content`, followed by zeros up to `byteCount`.
  static func compress(
    _ content: UnsafeRawBufferPointer, paddedTo byteCount: Int, source: String
  ) throws(InputError) -> [UInt8] {
    if content.count < byteCount {
      var padded = [UInt8](repeating: 0, count: byteCount)
      unsafe padded.withUnsafeMutableBytes { unsafe $0.copyMemory(from: content) }
      let whole = padded
      return try unsafe withBytes(of: whole) { (bytes) throws(InputError) in
        try unsafe compress(bytes, paddedTo: byteCount, source: source)
      }
    }
    var result = 0
    let capacity = ZSTD_compressBound(content.count)
    let frame = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
      result = unsafe ZSTD_compress(
        buffer.baseAddress, capacity, content.baseAddress, content.count,
        Int32(ContainerFormat.zstdLevel))
      count = ZSTD_isError(result) == 0 ? result : 0
    }
    guard ZSTD_isError(result) == 0 else { throw InputError(source, "zstd: \(name(of: result))") }
    return frame
  }

  /// Fills `output` with the content of `frame`, which must have exactly that length.
  static func decompress(
    _ frame: [UInt8], into output: UnsafeMutableRawBufferPointer, source: String, place: String
  ) throws(InputError) {
    let result = unsafe frame.withUnsafeBytes { bytes in
      unsafe ZSTD_decompress(output.baseAddress, output.count, bytes.baseAddress, bytes.count)
    }
    guard ZSTD_isError(result) == 0 else {
      throw InputError(source, place: place, "damaged chunk: \(name(of: result))")
    }
    guard result == output.count else {
      throw InputError(source, place: place, "a chunk holds \(result) bytes of \(output.count)")
    }
  }

  /// The content size that the header of a frame states, or nil.
  static func contentByteCount(header: [UInt8]) -> Int? {
    let size = unsafe header.withUnsafeBytes { bytes in
      unsafe ZSTD_getFrameContentSize(bytes.baseAddress, bytes.count)
    }
    // The two highest values mean "unknown" and "not a frame".
    return Int(exactly: size)
  }

  private static func name(of code: Int) -> String {
    unsafe String(cString: ZSTD_getErrorName(code))
  }

  /// `withUnsafeBytes` that keeps the type of the error.
  static func withBytes<R>(
    of array: [UInt8], _ body: (UnsafeRawBufferPointer) throws(InputError) -> R
  ) throws(InputError) -> R {
    try unsafe array.span.bytes.withUnsafeBytes(body)
  }
}
