// The checksum of HDF5's newer structures: lookup3 by Bob Jenkins, "hashlittle" with initial value 0.

import Bytes

package enum HDF5Checksum {
  /// lookup3 of `bytes`.
  package static func lookup3(_ bytes: RawSpan) -> UInt32 {
    var a = 0xdead_beef &+ UInt32(truncatingIfNeeded: bytes.byteCount)
    var b = a
    var c = a
    func word(_ offset: Int) -> UInt32 {
      UInt32(
        littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    /// The last 1 to 12 bytes, with zeros behind them.
    func rest(_ offset: Int) -> UInt32 {
      (0..<4).reduce(0) { sum, byte in
        guard offset + byte < bytes.byteCount else { return sum }
        let value = unsafe bytes.unsafeLoad(fromByteOffset: offset + byte, as: UInt8.self)
        return sum | UInt32(value) << UInt32(8 * byte)
      }
    }
    var offset = 0
    while bytes.byteCount - offset > 12 {
      a &+= word(offset)
      b &+= word(offset + 4)
      c &+= word(offset + 8)
      mix(&a, &b, &c)
      offset += 12
    }
    guard offset < bytes.byteCount else { return c }
    a &+= rest(offset)
    b &+= rest(offset + 4)
    c &+= rest(offset + 8)
    finish(&a, &b, &c)
    return c
  }

  private static func rotated(_ value: UInt32, _ count: UInt32) -> UInt32 {
    value << count | value >> (32 - count)
  }

  private static func mix(_ a: inout UInt32, _ b: inout UInt32, _ c: inout UInt32) {
    a &-= c
    a ^= rotated(c, 4)
    c &+= b
    b &-= a
    b ^= rotated(a, 6)
    a &+= c
    c &-= b
    c ^= rotated(b, 8)
    b &+= a
    a &-= c
    a ^= rotated(c, 16)
    c &+= b
    b &-= a
    b ^= rotated(a, 19)
    a &+= c
    c &-= b
    c ^= rotated(b, 4)
    b &+= a
  }

  private static func finish(_ a: inout UInt32, _ b: inout UInt32, _ c: inout UInt32) {
    c = (c ^ b) &- rotated(b, 14)
    a = (a ^ c) &- rotated(c, 11)
    b = (b ^ a) &- rotated(a, 25)
    c = (c ^ b) &- rotated(b, 16)
    a = (a ^ c) &- rotated(c, 4)
    b = (b ^ a) &- rotated(a, 14)
    c = (c ^ b) &- rotated(b, 24)
  }
}

extension ByteCursor {
  /// Passes over the checksum of everything from `start` up to here, and compares it.
  mutating func expectChecksum(from start: Int, _ what: String, budget: inout HDF5Budget)
    throws(InputError)
  {
    let range = start..<position
    let stated = try integer(UInt32.self, "checksum of \(what)")
    try budget.take(checked: range, of: file)
    let found = file.withBytes { HDF5Checksum.lookup3($0.extracting(range)) }
    guard found == stated else {
      throw failure("the checksum of \(what) is wrong", at: start)
    }
  }
}
