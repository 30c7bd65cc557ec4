// Bytes as lower-case hexadecimal digits, in texts and JSON.

extension Array where Element == UInt8 {
  /// Two lower-case digits a byte.
  public var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// The bytes of lower-case digits; nil for anything else.
  public init?(hexadecimal text: String) {
    var values: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): values.append(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): values.append(byte - UInt8(ascii: "a") + 10)
      default: return nil
      }
    }
    guard values.count.isMultiple(of: 2) else { return nil }
    self = stride(from: 0, to: values.count, by: 2).map { values[$0] << 4 | values[$0 + 1] }
  }
}

extension JSONReader {
  /// The bytes of a string of lower-case hexadecimal digits, of a length in `byteCounts`.
  public mutating func hexadecimal(_ key: String, byteCounts: ClosedRange<Int>)
    throws(InputError) -> [UInt8]
  {
    guard let bytes = [UInt8](hexadecimal: try string(key)), byteCounts.contains(bytes.count) else {
      let length =
        byteCounts.count == 1
        ? "\(byteCounts.lowerBound)" : "\(byteCounts.lowerBound) to \(byteCounts.upperBound)"
      throw failure(key, "expected hexadecimal digits of \(length) bytes")
    }
    return bytes
  }

  /// The same for exactly `byteCount` bytes.
  public mutating func hexadecimal(_ key: String, byteCount: Int) throws(InputError) -> [UInt8] {
    try hexadecimal(key, byteCounts: byteCount...byteCount)
  }
}
