// Pseudorandom words with random access: AES-256-CTR under a key derived from seed and label.

#if _endian(big)
  #error("streams are defined as little-endian words and are read in place")
#endif

/// The stream of `label` under `seed`; the same on every machine, usable from several threads.
///
/// key = HKDF-SHA-256(seed, salt empty, info = label bytes, 32 bytes); word i is bytes 8i..<8i+8 of
/// the AES-256-CTR key stream, little-endian; the counter is a 128-bit big-endian block number
/// that starts at 0. See `formats/randomness.md`.
public struct RandomStream: Sendable {
  private let key: SecretBytes

  public init(seed: Seed, label: StreamLabel) {
    key = Libcrypto.expand(seed.extracted, info: label.bytes)
  }

  /// Words `offset`..<`offset + count` of the stream.
  public func words(at offset: Int, count: Int) -> [UInt64] {
    precondition(count >= 0, "a count is not negative")
    return unsafe [UInt64](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      unsafe fill(
        UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(buffer)[..<(8 * count)]), atByte: 8 * offset)
      initializedCount = count
    }
  }

  /// Replaces `words` with words `offset`..<`offset + words.count` of the stream.
  public func fill(_ words: inout MutableSpan<UInt64>, at offset: Int) {
    unsafe words.withUnsafeMutableBytes { unsafe fill($0, atByte: 8 * offset) }
  }

  /// Replaces `words[range]` with words `offset`..<`offset + range.count` of the stream.
  public func fill(_ words: inout MutableSpan<UInt64>, in range: Range<Int>, at offset: Int) {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= words.count, "the range is inside the span")
    unsafe words.withUnsafeMutableBytes { bytes in
      let piece = unsafe bytes[(8 * range.lowerBound)..<(8 * range.upperBound)]
      unsafe fill(UnsafeMutableRawBufferPointer(rebasing: piece), atByte: 8 * offset)
    }
  }

  /// Bytes `offset`..<`offset + count` of the stream.
  public func bytes(at offset: Int, count: Int) -> [UInt8] {
    precondition(count >= 0, "a count is not negative")
    return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      unsafe fill(
        UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]),
        atByte: offset)
      initializedCount = count
    }
  }

  private func fill(_ output: UnsafeMutableRawBufferPointer, atByte offset: Int) {
    precondition(offset >= 0, "an offset is not negative")
    let skipped = offset % 16
    let headCount = skipped == 0 ? 0 : min(16 - skipped, output.count)
    if headCount > 0 {
      // The stream is made in blocks of 16 bytes: cut the first one where the caller starts.
      var block: (UInt64, UInt64) = (0, 0)
      unsafe withUnsafeMutableBytes(of: &block) { block in
        unsafe Libcrypto.keyStream(key: key, fromBlock: UInt64(offset / 16), into: block)
        unsafe UnsafeMutableRawBufferPointer(rebasing: output[..<headCount])
          .copyMemory(
            from: UnsafeRawBufferPointer(rebasing: block[skipped..<(skipped + headCount)]))
      }
    }
    let tail = unsafe UnsafeMutableRawBufferPointer(rebasing: output[headCount...])
    unsafe Libcrypto.keyStream(key: key, fromBlock: UInt64((offset + headCount) / 16), into: tail)
  }
}
