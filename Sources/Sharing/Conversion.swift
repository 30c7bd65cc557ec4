// What ties the files of one conversion together: its identifier and its program.

public import Bytes
public import Program
import Randomness

/// Names one run of `lodge-model share`; files of two conversions never fit together.
public struct Conversion: Equatable, Sendable {
  /// 16 random bytes.
  public var identifier: [UInt8]
  /// SHA-256 of the program's canonical JSON text.
  public var programDigest: [UInt8]

  public init(identifier: [UInt8], programDigest: [UInt8]) {
    self.identifier = identifier
    self.programDigest = programDigest
  }

  var members: [String: JSON] {
    [
      "conversion": .string(identifier.hexadecimal),
      "programDigest": .string(programDigest.hexadecimal),
    ]
  }

  init(_ reader: inout JSONReader) throws(InputError) {
    identifier = try reader.hexadecimal("conversion", byteCount: 16)
    programDigest = try reader.hexadecimal("programDigest", byteCount: 32)
  }
}

extension SecureProgram {
  /// SHA-256 of the canonical JSON text.
  public var digest: [UInt8] { SHA256.digest(Array(json.text.utf8)) }
}

extension [UInt8] {
  /// Lower-case hexadecimal digits.
  public var hexadecimal: String {
    let digits = [Character]("0123456789abcdef")
    return String(flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }
}

extension JSONReader {
  /// The bytes of a string of hexadecimal digits.
  public mutating func hexadecimal(_ key: String, byteCount: Int) throws(InputError) -> [UInt8] {
    let text = Array(try string(key).utf8)
    guard text.count == 2 * byteCount else {
      throw failure(key, "expected \(2 * byteCount) hexadecimal digits")
    }
    var bytes: [UInt8] = []
    for index in 0..<byteCount {
      guard
        let byte = UInt8(
          String(decoding: text[2 * index..<2 * index + 2], as: UTF8.self), radix: 16)
      else { throw failure(key, "expected \(2 * byteCount) hexadecimal digits") }
      bytes.append(byte)
    }
    return bytes
  }
}
