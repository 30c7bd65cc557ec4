// Little-endian bytes for files that tests make.

struct ByteWriter {
  var bytes: [UInt8] = []

  mutating func put<T: FixedWidthInteger>(_ value: T) { bytes += ByteWriter.bytes(value) }
  mutating func put(_ text: String) { bytes += Array(text.utf8) }
  mutating func put(_ more: [UInt8]) { bytes += more }

  static func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<MemoryLayout<T>.size).map { UInt8(truncatingIfNeeded: value >> T(8 * $0)) }
  }
}
