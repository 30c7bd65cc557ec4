// The first 48 bytes of an HDF5 file, checked before libhdf5 sees any of it.

import Bytes

/// The superblock, version 2 or 3 (HDF5 File Format Specification 3.0, section II.A).
enum Superblock {
  static let byteCount = 48
  private static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]

  /// Throws where `file` is not HDF5, was not closed by its writer, or is not as long as it says.
  static func check(_ file: OpenFile, byteCount fileByteCount: Int) throws(InputError) {
    let path = file.path
    guard fileByteCount > 0 else { throw InputError(path, "the file is empty") }
    let head = try file.bytes(in: 0..<min(byteCount, fileByteCount))
    guard head.starts(with: signature.prefix(head.count)) else {
      throw InputError(path, "is not an HDF5 file")
    }
    guard head.count == byteCount else {
      throw InputError(path, "truncated: the file has only \(fileByteCount) bytes")
    }
    guard head[8] == 2 || head[8] == 3 else {
      throw InputError(path, offset: 8, "HDF5 superblock version \(head[8]); 2 or 3 is expected")
    }
    guard head[9] == 8, head[10] == 8 else {
      throw InputError(path, offset: 9, "HDF5 offsets and lengths must have 8 bytes")
    }
    guard head[11] == 0 else {
      throw InputError(path, offset: 11, "the file was not closed by its writer")
    }
    guard word(head, 12) == 0 else {
      throw InputError(path, offset: 12, "the HDF5 base address is not 0")
    }
    let stated = word(head, 28)
    guard stated == UInt64(fileByteCount) else {
      let cause = stated > UInt64(fileByteCount) ? "truncated" : "followed by foreign bytes"
      throw InputError(
        path, offset: 28, "\(cause): \(fileByteCount) bytes where the file states \(stated)")
    }
  }

  private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
  }
}

extension OpenFile {
  /// A copy of the bytes in `range`, which lies in the file.
  func bytes(in range: Range<Int>) throws(InputError) -> [UInt8] {
    var failure: InputError?
    let result = unsafe [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
      do throws(InputError) {
        try unsafe read(into: UnsafeMutableRawBufferPointer(buffer), at: range.lowerBound)
        count = range.count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return result
  }
}
