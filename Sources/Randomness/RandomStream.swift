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
  fileprivate let key: SecretBytes
  /// Whether its words are 0 less those of the key stream, modulo 2^64.
  fileprivate private(set) var isNegated = false

  public init(seed: Seed, label: StreamLabel) {
    key = Libcrypto.expand(seed.extracted, info: label.bytes)
  }

  /// The stream of 0 - w for each word w of this one.
  public var negated: RandomStream {
    var result = self
    result.isNegated.toggle()
    return result
  }

  /// Words `offset`..<`offset + count` of the stream.
  public func words(at offset: Int, count: Int) -> [UInt64] {
    words(at: offset, count: count, by: .best)
  }

  /// The same by one of the ciphers that this processor can run.
  package func words(at offset: Int, count: Int, by cipher: StreamCipher) -> [UInt64] {
    precondition(count >= 0, "a count is not negative")
    return unsafe [UInt64](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      let words = unsafe UnsafeMutableRawBufferPointer(
        rebasing: UnsafeMutableRawBufferPointer(buffer)[..<(8 * count)])
      unsafe KeyStream(key: key, by: cipher).fill(words, fromByte: 8 * offset)
      if isNegated { unsafe RandomStream.negate(words) }
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
    precondition(!isNegated, "words are negated, not bytes")
    return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      unsafe fill(
        UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]),
        atByte: offset)
      initializedCount = count
    }
  }

  /// Replaces `words` with a part of the row-major matrix whose rows of `rowStride` words follow
  /// each other in the stream: rows `rows` and columns `columns`, row-major without gaps.
  public func fill(
    _ words: inout MutableSpan<UInt64>, rows: Range<Int>, columns: Range<Int>, rowStride: Int
  ) {
    precondition(words.count == rows.count * columns.count, "one word an element")
    precondition(
      rows.lowerBound >= 0 && columns.lowerBound >= 0 && columns.upperBound <= rowStride,
      "the part is inside the matrix")
    let stream = KeyStream(key: key)
    unsafe words.withUnsafeMutableBytes { bytes in
      for (index, row) in rows.enumerated() {
        let piece = unsafe bytes[(8 * index * columns.count)..<(8 * (index + 1) * columns.count)]
        unsafe stream.fill(
          UnsafeMutableRawBufferPointer(rebasing: piece),
          fromByte: 8 * (row * rowStride + columns.lowerBound))
      }
      if isNegated { unsafe RandomStream.negate(bytes) }
    }
  }

  private func fill(_ output: UnsafeMutableRawBufferPointer, atByte offset: Int) {
    unsafe KeyStream(key: key).fill(output, fromByte: offset)
    if isNegated { unsafe RandomStream.negate(output) }
  }

  /// `bytes` are whole words.
  fileprivate static func negate(_ bytes: UnsafeMutableRawBufferPointer) {
    let words = unsafe bytes.bindMemory(to: UInt64.self)
    for index in words.indices { unsafe words[index] = 0 &- words[index] }
  }
}

/// A stream that one thread reads again and again: its cipher is set up once.
public final class StreamReader {
  private let stream: KeyStream
  private let isNegated: Bool

  public init(_ stream: RandomStream) {
    self.stream = KeyStream(key: stream.key)
    isNegated = stream.isNegated
  }

  /// Words at `ranges` of the stream, one after the other.
  public func words(in ranges: [Range<Int>]) -> [UInt64] {
    let count = ranges.reduce(0) { $0 + $1.count }
    return unsafe [UInt64](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      var rest = UnsafeMutableRawBufferPointer(buffer)
      for range in ranges {
        precondition(range.lowerBound >= 0, "an offset is not negative")
        let byteCount = 8 * range.count
        unsafe stream.fill(
          UnsafeMutableRawBufferPointer(rebasing: rest[..<byteCount]),
          fromByte: 8 * range.lowerBound)
        unsafe rest = UnsafeMutableRawBufferPointer(rebasing: rest[byteCount...])
      }
      if isNegated {
        unsafe RandomStream.negate(
          UnsafeMutableRawBufferPointer(
            rebasing: UnsafeMutableRawBufferPointer(buffer)[..<(8 * count)]))
      }
      initializedCount = count
    }
  }
}
