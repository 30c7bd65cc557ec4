// The CRC-32 of zip archives and of HDF5's gzip, by zlib.

import CZlib

enum Checksum {
  /// CRC-32 (ISO 3309) of `bytes`.
  static func crc32(_ bytes: RawSpan, after crc: UInt32 = 0) -> UInt32 {
    unsafe bytes.withUnsafeBytes { buffer in
      UInt32(
        truncatingIfNeeded: unsafe crc32_z(
          uLong(crc), buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), buffer.count))
    }
  }

  static func text(_ crc: UInt32) -> String {
    let digits = String(crc, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}
