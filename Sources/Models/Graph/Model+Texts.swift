// Which texts a model takes, and what its operations read.

public import Bytes

extension Model {
  /// Throws `InputError` unless `tokens` is a text that the model takes: not empty, not longer than
  /// the position table, all ids in the vocabulary.
  public func check(_ tokens: [Int]) throws(InputError) {
    guard !tokens.isEmpty else { throw InputError("tokens", "there are none") }
    guard tokens.count <= maximumPositions else {
      throw InputError(
        "tokens",
        "\(Quantity.count(tokens.count, "token")), the model has positions for \(maximumPositions)")
    }
    for (position, token) in tokens.enumerated() where !(0..<vocabularySize).contains(token) {
      throw InputError(
        "tokens", place: "position \(position)",
        "token \(token) is outside the vocabulary of \(vocabularySize)")
    }
  }
}

extension Model {
  /// The token that has no position of its own, so that those behind it are counted without it:
  /// that of the row before the first position, of encoders whose tables have such a row.
  var uncountedToken: Int? {
    guard kind == .encoder, case .embed(_, .some, let offset, _)? = nodes.first?.operation,
      offset > 0
    else { return nil }
    return offset - 1
  }

  /// `texts` without the padding at their ends, which would be attended to, and what to say of it
  /// and of padding elsewhere.
  ///
  /// - Throws: `InputError` where padding is left that the model counts no position for.
  public func withoutPadding(_ texts: [[Int]], source: String) throws(InputError)
    -> (texts: [[Int]], notice: String?)
  {
    let cut = texts.map { text in
      padToken.map { token in
        Array(text.prefix(max((text.lastIndex { $0 != token } ?? 0) + 1, 1)))
      } ?? text
    }
    if let token = uncountedToken {
      for (index, text) in cut.enumerated() where text.count > 1 {
        guard let position = text.firstIndex(of: token) else { continue }
        throw InputError(
          source, place: "text \(index), position \(position)",
          "token \(token) is padding, for which \(family) counts no position",
          hint: "leave padding out of texts")
      }
    }
    guard let padToken else { return (texts, nil) }
    var parts: [String] = []
    let tokenCount = zip(texts, cut).reduce(0) { $0 + $1.0.count - $1.1.count }
    if tokenCount > 0 {
      let textCount = zip(texts, cut).count { $0.count != $1.count }
      parts.append(
        "\(textCount) \(textCount == 1 ? "text ends" : "texts end") in padding (token \(padToken)): "
          + "\(Quantity.count(tokenCount, "token is", "tokens are")) left out")
    }
    let held = cut.count { $0.count > 1 && $0.contains(padToken) }
    if held > 0 {
      parts.append(
        "\(held) \(held == 1 ? "text holds" : "texts hold") padding (token \(padToken)) before "
          + "the end: it is read as text")
    }
    return (cut, parts.isEmpty ? nil : parts.joined(separator: "; "))
  }
}

extension ModelOperation {
  /// The values that the operation reads.
  public var inputs: [ModelValue] {
    switch self {
    case .embed: []
    case .layerNorm(let input, _), .rmsNorm(let input, _), .linear(let input, _, _),
      .rotary(let input, _, _), .activation(let input, _), .scale(let input, _),
      .softCap(let input, _), .pool(let input, _), .gates(let input):
      [input]
    case .attention(let query, let key, let value, _): [query, key, value]
    case .add(let left, let right), .multiply(let left, let right), .gated(let left, let right):
      [left, right]
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
