// Which texts a model takes, and what its operations read.

public import Bytes

extension Model {
  /// Throws `InputError` unless `tokens` is a text that the model takes: not empty, not longer than
  /// the position table, all ids in the vocabulary.
  public func check(_ tokens: [Int]) throws(InputError) {
    guard !tokens.isEmpty else { throw InputError("tokens", "there are none") }
    guard tokens.count <= maximumPositions else {
      throw InputError(
        "tokens", "\(tokens.count) tokens, the model has positions for \(maximumPositions)")
    }
    for (position, token) in tokens.enumerated() where !(0..<vocabularySize).contains(token) {
      throw InputError(
        "tokens", place: "position \(position)",
        "token \(token) is outside the vocabulary of \(vocabularySize)")
    }
  }
}

extension Model {
  /// `texts` without the padding at their ends, which would be attended to, and what to say of it.
  public func withoutPadding(_ texts: [[Int]]) -> (texts: [[Int]], notice: String?) {
    guard let padToken else { return (texts, nil) }
    let cut = texts.map { text in
      Array(text.prefix(max((text.lastIndex { $0 != padToken } ?? 0) + 1, 1)))
    }
    let tokenCount = zip(texts, cut).reduce(0) { $0 + $1.0.count - $1.1.count }
    guard tokenCount > 0 else { return (texts, nil) }
    let textCount = zip(texts, cut).count { $0.count != $1.count }
    return (
      cut,
      "\(textCount) \(textCount == 1 ? "text ends" : "texts end") in padding (token \(padToken)): "
        + "\(tokenCount) tokens are left out"
    )
  }
}

extension ModelOperation {
  /// The values that the operation reads.
  public var inputs: [ModelValue] {
    switch self {
    case .embed: []
    case .layerNorm(let input, _), .rmsNorm(let input, _), .linear(let input, _, _),
      .rotary(let input, _, _), .activation(let input, _), .scale(let input, _),
      .softCap(let input, _), .pool(let input, _):
      [input]
    case .attention(let query, let key, let value, _): [query, key, value]
    case .add(let left, let right), .multiply(let left, let right): [left, right]
    }
  }
}

extension Model {
  /// Whether each value has one row a text instead of one a position.
  public var isPooled: [Bool] {
    var result: [Bool] = []
    for node in nodes {
      if case .pool = node.operation {
        result.append(true)
      } else {
        result.append(node.operation.inputs.contains { result[$0] })
      }
    }
    return result
  }
}
