// Uniform permutations from a stream, by Fisher and Yates with rejection.

/// Draws permutations from the words of a stream, one after the other.
///
/// Place i = count - 1, ..., 1 is exchanged with place w mod (i + 1) for the next word w that is below
/// the largest multiple of i + 1 up to 2^64: all permutations are equally likely. See
/// `formats/randomness.md`.
public struct PermutationSampler {
  private let stream: StreamReader
  private var words: [UInt64] = []
  private var next = 0
  /// Words that have been read of the stream.
  private var offset = 0

  public init(_ stream: RandomStream) { self.stream = StreamReader(stream) }

  /// A permutation pi of 0 ..< count; applied to x it gives x[pi[0]], x[pi[1]], ...
  public mutating func permutation(count: Int) -> [UInt32] {
    precondition(count >= 0 && count <= 1 << 32, "as many elements as 32 bits number")
    var result = (0..<count).map { UInt32($0) }
    guard count > 1 else { return result }
    for place in (1..<count).reversed() {
      let other = Int(below(UInt64(place + 1), atMost: place))
      result.swapAt(place, other)
    }
    return result
  }

  /// A uniform number below `bound`; about `needed` words more will be wanted.
  private mutating func below(_ bound: UInt64, atMost needed: Int) -> UInt64 {
    // 2^64 mod bound: so many of the highest words would favour small numbers.
    let excess = (0 &- bound) % bound
    while true {
      let word = self.word(needed)
      if word <= UInt64.max - excess { return word % bound }
    }
  }

  private mutating func word(_ needed: Int) -> UInt64 {
    if next == words.count {
      let count = min(max(needed, 1), 1 << 12)
      words = stream.words(in: [offset..<offset + count])
      offset += count
      next = 0
    }
    next += 1
    return words[next - 1]
  }
}
