// The heads that encoder families share: classes of a text or of its tokens, and masked tokens.

import Bytes

extension HeadDescription {
  /// Scores of `count` classes of a text: one row of all positions, perhaps a linear layer with an
  /// activation and a normalisation, and the linear layer `scores`.
  static func classes(
    _ count: Int, pooling: RowPooling = .first, transform: LinearDescription,
    _ activation: Activation, norm: NormDescription? = nil, scores: String = "classifier"
  ) -> HeadDescription {
    HeadDescription(
      output: .classes, pooling: pooling, transform: (transform, nil, activation),
      transformNorm: norm, scores: ScoreDescription(matrix: .init(scores), rowCount: count))
  }

  /// Scores of `count` classes of every position: the linear layer "classifier".
  static func tokenClasses(_ count: Int) -> HeadDescription {
    HeadDescription(
      output: .tokenClasses, scores: ScoreDescription(matrix: .init("classifier"), rowCount: count))
  }

  /// Scores of the token that belongs at a position: a linear layer of `width` columns with an
  /// activation, a normalisation, and the token table or a matrix of its own.
  static func tokenLogits(
    _ transform: LinearDescription, width: Int? = nil, _ activation: Activation,
    norm: NormDescription, matrix: LinearDescription, isTied: Bool
  ) -> HeadDescription {
    HeadDescription(
      output: .tokenLogits, transform: (transform, width, activation), transformNorm: norm,
      scores: ScoreDescription(matrix: matrix, isTied: isTied, rowCount: nil))
  }
}

extension ModelOutput {
  /// What a class of the Hugging Face library gives, by the end of its name; nil for those whose
  /// head is not implemented.
  init?(architecture: String) {
    let known: KeyValuePairs<String, ModelOutput> = [
      "ForSequenceClassification": .classes, "ForTokenClassification": .tokenClasses,
      "ForMaskedLM": .tokenLogits, "Model": .states,
    ]
    guard let output = known.first(where: { architecture.hasSuffix($0.key) })?.value else {
      return nil
    }
    self = output
  }
}

extension Configuration {
  /// The class of the library that the weights are of, or nil where the file does not name one.
  var architecture: String? { texts("architectures").first }

  /// Number of classes, or nil after collecting what is wrong with it where it counts.
  mutating func classCount() -> Int? {
    settings(of: .classes, .tokenClasses) { $0.readClassCount() }
  }

  private mutating func readClassCount() -> Int? {
    mention("architectures", "class whose head gives the output, where the file holds it")
    mention("id2label", "names of the classes by their numbers, else num_labels of them")
    let stated = integer("num_labels", in: Limits.classes, fallback: 2, meaning: "2")
    guard let labels = find("id2label"), labels != .null else { return stated }
    guard case .object(let members) = labels, Limits.classes.contains(members.count),
      Set(members.keys.map { Int($0) }) == Set(0..<members.count)
    else {
      fail("id2label", "expected names by the numbers from 0 on")
      return nil
    }
    if has("num_labels"), stated != members.count {
      fail("num_labels", "id2label has \(members.count) classes")
      return nil
    }
    return members.count
  }
}
