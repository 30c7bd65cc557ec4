// The element type of an HDF5 dataset (File Format Specification, section IV.A.2.d).

import Bytes

enum HDF5Datatype {
  private struct FloatLayout: Equatable {
    var byteCount: UInt32
    var sign: UInt8
    var exponentStart: UInt8
    var exponentBitCount: UInt8
    var fractionBitCount: UInt8
    var bias: UInt32
  }

  private static let floats: [(layout: FloatLayout, type: ElementType)] = [
    (
      FloatLayout(
        byteCount: 2, sign: 15, exponentStart: 10, exponentBitCount: 5, fractionBitCount: 10,
        bias: 15), .float16
    ),
    (
      FloatLayout(
        byteCount: 4, sign: 31, exponentStart: 23, exponentBitCount: 8, fractionBitCount: 23,
        bias: 127), .float32
    ),
    (
      FloatLayout(
        byteCount: 8, sign: 63, exponentStart: 52, exponentBitCount: 11, fractionBitCount: 52,
        bias: 1023), .float64
    ),
  ]

  /// The type that `message` describes, or nil where it is not of numbers.
  /// - Throws: `InputError` for floating-point types that are not read: they would be weights.
  static func elementType(_ message: ByteCursor, name: String) throws(InputError) -> ElementType? {
    var cursor = message
    let start = cursor.position
    let versionAndClass = try cursor.integer(UInt8.self, "datatype")
    let flags = try cursor.integer(UInt8.self, "datatype flags")
    let sign = try cursor.integer(UInt8.self, "sign location")
    _ = try cursor.skip(1, "datatype flags")
    let byteCount = try cursor.integer(UInt32.self, "element size")
    switch versionAndClass & 15 {
    case 0:
      let offset = try cursor.integer(UInt16.self, "bit offset")
      let bitCount = try cursor.integer(UInt16.self, "precision")
      let isSigned = flags & 8 != 0
      guard flags & 1 == 0 || byteCount == 1, offset == 0, UInt32(bitCount) == 8 &* byteCount
      else { return nil }
      switch byteCount {
      case 1: return isSigned ? .int8 : .uint8
      case 2: return isSigned ? .int16 : nil
      case 4: return isSigned ? .int32 : nil
      case 8: return isSigned ? .int64 : nil
      default: return nil
      }
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
        let found = floats.first(where: { $0.layout == layout })
      else {
        throw InputError(
          message.file.path, place: name, offset: start,
          "its floating-point type is not little-endian F16, F32 or F64")
      }
      return found.type
    default: return nil
    }
  }
}
