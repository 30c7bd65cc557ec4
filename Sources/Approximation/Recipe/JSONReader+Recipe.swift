// Members that several replacements have.

import Bytes

extension JSONReader {
  /// [minimum, maximum] with the first below the second, or nil where the member is absent.
  mutating func optionalRange(_ key: String) throws(InputError) -> ClosedRange<Double>? {
    guard contains(key) else { return nil }
    let ends = try numbers(key)
    guard ends.count == 2, ends[0] < ends[1] else {
      throw failure(key, "expected [minimum, maximum]")
    }
    return ends[0]...ends[1]
  }

  /// A power of two, or nil where the member is absent.
  mutating func optionalPowerOfTwo(_ key: String) throws(InputError) -> Double? {
    guard contains(key) else { return nil }
    let value = try number(key, default: 1, in: 0x1p-40...0x1p40)
    guard value.significand == 1 else { throw failure(key, "\(value) is not a power of two") }
    return value
  }
}
