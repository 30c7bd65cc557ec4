// One metadata value of a GGUF file; arrays are passed over, not kept.

import Bytes

/// A typed value; of an array only type and length, whatever the file says, so memory is bounded.
public enum GGUFValue: Equatable, Sendable {
  /// Any integer type, signed or not, that fits.
  case integer(Int)
  case real(Double)
  case bool(Bool)
  case text(String)
  /// Elements that the file holds; nested arrays are refused.
  case array(count: Int)

  static let maximumTextByteCount = 1 << 20

  /// Numbers of `enum gguf_metadata_value_type`.
  private enum Kind: UInt32 {
    case uint8, int8, uint16, int16, uint32, int32, float32, bool, text, array, uint64, int64
    case float64

    /// Bytes of one element; nil for texts and arrays.
    var byteCount: Int? {
      switch self {
      case .uint8, .int8, .bool: 1
      case .uint16, .int16: 2
      case .uint32, .int32, .float32: 4
      case .uint64, .int64, .float64: 8
      case .text, .array: nil
      }
    }

    init(_ cursor: inout ByteCursor, key: String) throws(InputError) {
      let start = cursor.position
      let number = try cursor.integer(UInt32.self, "value type")
      guard let kind = Kind(rawValue: number) else {
        throw cursor.failure("\(key): unknown value type \(number)", at: start)
      }
      self = kind
    }
  }

  init(_ cursor: inout ByteCursor, key: String) throws(InputError) {
    let kind = try Kind(&cursor, key: key)
    let start = cursor.position
    switch kind {
    case .uint8: self = .integer(Int(try cursor.integer(UInt8.self, key)))
    case .int8: self = .integer(Int(try cursor.integer(Int8.self, key)))
    case .uint16: self = .integer(Int(try cursor.integer(UInt16.self, key)))
    case .int16: self = .integer(Int(try cursor.integer(Int16.self, key)))
    case .uint32: self = .integer(Int(try cursor.integer(UInt32.self, key)))
    case .int32: self = .integer(Int(try cursor.integer(Int32.self, key)))
    case .int64: self = .integer(Int(try cursor.integer(Int64.self, key)))
    case .uint64:
      let value = try cursor.integer(UInt64.self, key)
      guard let integer = Int(exactly: value) else {
        throw cursor.failure("\(key): \(value) does not fit 63 bits", at: start)
      }
      self = .integer(integer)
    case .float32:
      let value = Float(bitPattern: try cursor.integer(UInt32.self, key))
      guard value.isFinite, let decimal = Double(value.description) else {
        throw cursor.failure("\(key): a 32-bit number that is not finite", at: start)
      }
      // The shortest decimal is what the writer meant: 1e-05, not 9.999999747378752e-06.
      self = .real(decimal)
    case .float64:
      let value = Double(bitPattern: try cursor.integer(UInt64.self, key))
      guard value.isFinite else {
        throw cursor.failure("\(key): a 64-bit number that is not finite", at: start)
      }
      self = .real(value)
    case .bool:
      let byte = try cursor.integer(UInt8.self, key)
      guard byte <= 1 else { throw cursor.failure("\(key): boolean \(byte)", at: start) }
      self = .bool(byte == 1)
    case .text:
      self = .text(try GGUF.text(&cursor, "text", atMost: GGUFValue.maximumTextByteCount))
    case .array: self = .array(count: try GGUFValue.passArray(&cursor, key: key))
    }
  }

  private static func passArray(_ cursor: inout ByteCursor, key: String) throws(InputError) -> Int {
    let kind = try Kind(&cursor, key: key)
    let start = cursor.position
    let count = try cursor.integer(UInt64.self, key)
    if kind == .array { throw cursor.failure("\(key): arrays of arrays are not read", at: start) }
    // A text takes eight bytes for its length.
    guard count <= UInt64(cursor.remainingByteCount / (kind.byteCount ?? 8)) else {
      throw cursor.failure(
        "\(key): \(count) elements, \(cursor.remainingByteCount) bytes follow", at: start)
    }
    if let byteCount = kind.byteCount {
      _ = try cursor.skip(Int(count) * byteCount, key)
    } else {
      for _ in 0..<count {
        let start = cursor.position
        let length = try cursor.integer(UInt64.self, key)
        guard length <= UInt64(cursor.remainingByteCount) else {
          throw cursor.failure("\(key): a text of \(length) bytes goes beyond the file", at: start)
        }
        _ = try cursor.skip(Int(length), key)
      }
    }
    return Int(count)
  }
}
