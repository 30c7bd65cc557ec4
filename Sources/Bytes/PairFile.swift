// Files of scored sentence pairs: how similar people found two texts, as token ids.

/// Two texts with the score that people gave their similarity; any scale, larger is more similar.
public struct ScoredPair: Equatable, Sendable {
  public var first: [Int]
  public var second: [Int]
  public var score: Double

  public init(first: [Int], second: [Int], score: Double) {
    self.first = first
    self.second = second
    self.score = score
  }
}

/// Reads scored pairs as `tools/tokenize pairs` writes them; see `formats/evaluation.md`.
public enum PairFile {
  /// The pairs of the file at `path`: an array of {"first": ids, "second": ids, "score": number}.
  /// - Throws: `InputError` for anything else, for no pair, and for a text without tokens.
  public static func read(_ path: String) throws(InputError) -> [ScoredPair] {
    guard case .array(let elements) = try JSON.read(path, atMost: TokenFile.maximumByteCount)
    else { throw InputError(path, "expected a JSON array of scored pairs") }
    guard !elements.isEmpty else { throw InputError(path, "holds no pairs") }
    var pairs: [ScoredPair] = []
    for (index, element) in elements.enumerated() {
      var reader = try JSONReader(element, source: path, place: "[\(index)]")
      let pair = ScoredPair(
        first: try ids("first", &reader), second: try ids("second", &reader),
        score: try reader.number("score"))
      try reader.finish()
      pairs.append(pair)
    }
    return pairs
  }

  private static func ids(_ key: String, _ reader: inout JSONReader) throws(InputError) -> [Int] {
    let ids = try reader.integers(key)
    guard !ids.isEmpty else { throw reader.failure(key, "holds no tokens") }
    return ids
  }
}
