// The element type of an HDF5 dataset or attribute (File Format Specification, section IV.A.2.d).

package import Bytes

/// What elements are, as far as this reader tells them apart.
package enum HDF5Datatype: Equatable {
  /// Little endian, of all bits of 1, 2, 4 or 8 bytes.
  case integer(byteCount: Int, isSigned: Bool)
  /// Little endian binary16, binary32 or binary64 of IEEE 754.
  case float(byteCount: Int)
  /// Floating point of any other kind.
  case otherFloat
  /// Of a fixed length, filled up with NUL.
  case text(byteCount: Int)
  case other

  private struct FloatLayout: Equatable {
    var byteCount: UInt32
    var sign: UInt8
    var exponentStart: UInt8
    var exponentBitCount: UInt8
    var fractionBitCount: UInt8
    var bias: UInt32
  }

  private static let floats = [
    FloatLayout(
      byteCount: 2, sign: 15, exponentStart: 10, exponentBitCount: 5, fractionBitCount: 10,
      bias: 15),
    FloatLayout(
      byteCount: 4, sign: 31, exponentStart: 23, exponentBitCount: 8, fractionBitCount: 23,
      bias: 127),
    FloatLayout(
      byteCount: 8, sign: 63, exponentStart: 52, exponentBitCount: 11, fractionBitCount: 52,
      bias: 1023),
  ]

  package init(_ message: ByteCursor) throws(InputError) {
    var cursor = message
    let versionAndClass = try cursor.integer(UInt8.self, "datatype")
    let flags = try cursor.integer(UInt8.self, "datatype flags")
    let sign = try cursor.integer(UInt8.self, "sign location")
    _ = try cursor.skip(1, "datatype flags")
    let byteCount = try cursor.integer(UInt32.self, "element size")
    switch versionAndClass & 15 {
    case 0:
      let offset = try cursor.integer(UInt16.self, "bit offset")
      let bitCount = try cursor.integer(UInt16.self, "precision")
      guard flags & 1 == 0 || byteCount == 1, offset == 0, UInt32(bitCount) == 8 &* byteCount,
        [1, 2, 4, 8].contains(byteCount)
      else {
        self = .other
        return
      }
      self = .integer(byteCount: Int(byteCount), isSigned: flags & 8 != 0)
    case 1:
      let offset = try cursor.integer(UInt16.self, "bit offset")
      let bitCount = try cursor.integer(UInt16.self, "precision")
      let exponentStart = try cursor.integer(UInt8.self, "exponent location")
      let exponentBitCount = try cursor.integer(UInt8.self, "exponent size")
      let fractionStart = try cursor.integer(UInt8.self, "fraction location")
      let fractionBitCount = try cursor.integer(UInt8.self, "fraction size")
      let layout = FloatLayout(
        byteCount: byteCount, sign: sign, exponentStart: exponentStart,
        exponentBitCount: exponentBitCount, fractionBitCount: fractionBitCount,
        bias: try cursor.integer(UInt32.self, "exponent bias"))
      // Little endian, and a leading one that is not stored.
      let isUsual = flags & 0b0100_0001 == 0 && flags >> 4 & 3 == 2 && offset == 0
      guard isUsual, UInt32(bitCount) == 8 &* byteCount, fractionStart == 0,
        HDF5Datatype.floats.contains(layout)
      else {
        self = .otherFloat
        return
      }
      self = .float(byteCount: Int(byteCount))
    case 3: self = flags & 15 == 1 ? .text(byteCount: Int(byteCount)) : .other
    default: self = .other
    }
  }
}
