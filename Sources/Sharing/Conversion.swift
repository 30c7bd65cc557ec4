// What ties the files of one conversion together: its identifier and its program.

import Bytes
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
