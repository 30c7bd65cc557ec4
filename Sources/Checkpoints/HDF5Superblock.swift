// The beginning of an HDF5 file (File Format Specification, section II.A), versions 0 and 1.

import Bytes

/// Leads to the root group of a file in HDF5's classic layout, which h5py and Keras write.
struct HDF5Superblock {
  static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]
  static let hint =
    "copy it with h5py, whose File(..., libver=\"earliest\") writes the classic layout"

  private static let newestVersion: UInt8 = 1

  let rootAddress: HDF5Address

  /// Whether the HDF5 file at `path` has a superblock of a version that is not read.
  static func isNewer(_ path: String) -> Bool {
    guard let file = try? MappedFile(path: path), let bytes = try? file.bytes(in: 8..<9) else {
      return false
    }
    return bytes[0] > newestVersion
  }

  /// - Throws: `InputError` where the file is not HDF5, of a newer layout, or cut off.
  init(_ file: MappedFile) throws(InputError) {
    var cursor = ByteCursor(file)
    guard try file.bytes(in: cursor.skip(8, "signature")) == HDF5Superblock.signature else {
      throw cursor.failure("is not an HDF5 file", at: 0)
    }
    let version = try cursor.integer(UInt8.self, "superblock version")
    guard version <= HDF5Superblock.newestVersion else {
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
}
