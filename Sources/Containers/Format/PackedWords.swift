// Words in as few bytes as are read of them.

/// Words of 1...8 bytes each, little-endian, one after the other.
public enum PackedWords {
  /// The lowest `byteCount` bytes of each word.
  public static func packed(_ words: [UInt64], byteCount: Int) -> [UInt8] {
    precondition((1...8).contains(byteCount), "words have 1 to 8 bytes")
    return unsafe [UInt8](unsafeUninitializedCapacity: words.count * byteCount + 8) {
      buffer, count in
      let target = UnsafeMutableRawBufferPointer(buffer)
      for (index, word) in words.enumerated() {
        // What is written beyond a word is overwritten by the next, or left out.
        unsafe target.storeBytes(
          of: word.littleEndian, toByteOffset: index * byteCount, as: UInt64.self)
      }
      count = words.count * byteCount
    }
  }

  /// Writes the words in `bytes` to the beginning of `target`, which has room for them.
  static func unpack(
    _ bytes: UnsafeRawBufferPointer, byteCount: Int, into target: UnsafeMutableBufferPointer<UInt64>
  ) {
    precondition((1...8).contains(byteCount), "words have 1 to 8 bytes")
    let count = bytes.count / byteCount
    precondition(count <= target.count, "all words have room")
    let mask = UInt64.max >> UInt64(64 - 8 * byteCount)
    // Reads of eight bytes stay within `bytes`.
    let wide = max(0, min(count, (bytes.count - 8 + byteCount) / byteCount))
    for index in 0..<wide {
      let word = unsafe bytes.loadUnaligned(fromByteOffset: index * byteCount, as: UInt64.self)
      unsafe target[index] = UInt64(littleEndian: word) & mask
    }
    for index in wide..<count {
      let word = unsafe bytes[index * byteCount..<(index + 1) * byteCount]
      unsafe target[index] = word.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
  }
}
