// Base64 in lines of 70 characters; what passes through may be secret, and is wiped.

import Bytes
import Randomness

enum Base64Lines {
  /// Lines with a line feed after each.
  static func folded(_ bytes: [UInt8]) -> [UInt8] {
    var digits = Base64.encode(bytes)
    defer { digits.wipe() }
    var text: [UInt8] = []
    text.reserveCapacity(digits.count + digits.count / SSHArmor.lineByteCount + 1)
    for start in stride(from: 0, to: digits.count, by: SSHArmor.lineByteCount) {
      text += digits[start..<min(start + SSHArmor.lineByteCount, digits.count)]
      text.append(UInt8(ascii: "\n"))
    }
    return text
  }

  /// The bytes that lines of any length stand for; nil where they are not Base64.
  static func joined(_ lines: some Sequence<ArraySlice<UInt8>>) -> [UInt8]? {
    var digits: [UInt8] = []
    for line in lines { digits += line }
    defer { digits.wipe() }
    return Base64.decode(digits)
  }
}
