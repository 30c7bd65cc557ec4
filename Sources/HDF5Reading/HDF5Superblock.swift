// The beginning of an HDF5 file (File Format Specification, section II.A).

package import Bytes

/// Which structures a file is made of, by the version of its superblock.
package enum HDF5Generation: Sendable {
  /// Versions 0 and 1: object headers of version 1, symbol tables and trees, without checksums.
  case classic
  /// Versions 2 and 3: object headers of version 2, links and attributes in messages or heaps.
  case checksummed
}

/// Leads to the root group.
package struct HDF5Superblock {
  package static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]
  /// Bytes of a superblock of version 2 or 3.
  package static let byteCount = 48
  package static let hint =
    "copy it with h5py, whose File(..., libver=\"earliest\") writes the classic layout"

  private static let newestClassicVersion: UInt8 = 1

  package let rootAddress: HDF5Address

  /// Whether the HDF5 file at `path` has a superblock of a newer version than the classic ones.
  package static func isNewer(_ path: String) -> Bool {
    guard let file = try? MappedFile(path: path), let bytes = try? file.bytes(in: 8..<9) else {
      return false
    }
    return bytes[0] > newestClassicVersion
  }

  /// Reads version 0 or 1, which h5py and Keras write; bytes may follow the end that it states.
  /// - Throws: `InputError` where the file is not HDF5, of a newer layout, or cut off.
  package init(classic file: MappedFile) throws(InputError) {
    var cursor = ByteCursor(file)
    guard try file.bytes(in: cursor.skip(8, "signature")) == HDF5Superblock.signature else {
      throw cursor.failure("is not an HDF5 file", at: 0)
    }
    let version = try cursor.integer(UInt8.self, "superblock version")
    guard version <= HDF5Superblock.newestClassicVersion else {
      throw cursor.failure(
        "HDF5 superblock version \(version), only 0 and 1 are read", at: 8,
        hint: HDF5Superblock.hint)
    }
    _ = try cursor.skip(4, "versions")
    let offsetByteCount = try cursor.integer(UInt8.self, "size of offsets")
    let lengthByteCount = try cursor.integer(UInt8.self, "size of lengths")
    guard offsetByteCount == 8, lengthByteCount == 8 else {
      throw cursor.failure("HDF5 offsets and lengths must have 8 bytes", at: 13)
    }
    _ = try cursor.skip(version == 0 ? 9 : 13, "sizes of trees")
    let start = cursor.position
    guard try cursor.integer(UInt64.self, "base address") == 0 else {
      throw cursor.failure("the HDF5 base address is not 0", at: start)
    }
    _ = try cursor.skip(8, "free space address")
    let end = try cursor.integer(UInt64.self, "end address")
    guard end <= UInt64(file.byteCount) else {
      throw cursor.failure(
        "the file states \(end) bytes and has \(file.byteCount)", at: start + 16,
        hint: "the file is probably cut off: copy or download it again")
    }
    _ = try cursor.skip(16, "root group entry")
    rootAddress = try cursor.address("root group address")
  }

  /// Reads version 2 or 3 of a file that is as long as it says and was closed by its writer.
  /// - Throws: `InputError` where the file is not HDF5, of an older layout, cut off, or longer.
  package init(checksummed file: MappedFile, budget: inout HDF5Budget) throws(InputError) {
    let path = file.path
    guard file.byteCount > 0 else { throw InputError(path, "the file is empty") }
    let head = try file.bytes(in: 0..<min(8, file.byteCount))
    guard HDF5Superblock.signature.starts(with: head) else {
      throw InputError(path, "is not an HDF5 file")
    }
    guard file.byteCount >= HDF5Superblock.byteCount else {
      throw InputError(path, "truncated: the file has only \(file.byteCount) bytes")
    }
    var cursor = ByteCursor(file, in: 8..<HDF5Superblock.byteCount)
    let version = try cursor.integer(UInt8.self, "superblock version")
    guard version == 2 || version == 3 else {
      throw InputError(
        path, offset: 8, "HDF5 superblock version \(version); 2 or 3 is expected")
    }
    guard try cursor.integer(UInt16.self, "sizes of offsets and lengths") == 0x0808 else {
      throw InputError(path, offset: 9, "HDF5 offsets and lengths must have 8 bytes")
    }
    guard try cursor.integer(UInt8.self, "consistency flags") == 0 else {
      throw InputError(path, offset: 11, "the file was not closed by its writer")
    }
    guard try cursor.integer(UInt64.self, "base address") == 0 else {
      throw InputError(path, offset: 12, "the HDF5 base address is not 0")
    }
    guard try cursor.address("superblock extension").isUndefined else {
      throw InputError(path, offset: 20, "a superblock with an extension is not read")
    }
    let stated = try cursor.integer(UInt64.self, "end address")
    guard stated == UInt64(file.byteCount) else {
      let cause = stated > UInt64(file.byteCount) ? "truncated" : "followed by foreign bytes"
      throw InputError(
        path, offset: 28, "\(cause): \(file.byteCount) bytes where the file states \(stated)")
    }
    rootAddress = try cursor.address("root group address")
    try cursor.expectChecksum(from: 0, "superblock", budget: &budget)
  }
}
