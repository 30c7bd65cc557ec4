// Which head of a model is read: by `architectures` of config.json and the tensors that are there.

import Bytes

/// What a model of a family may end in, instead of its last hidden states.
enum Task: String, CaseIterable {
  case masked = "ForMaskedLM"
  case classes = "ForSequenceClassification"
  case tokenClasses = "ForTokenClassification"
}

/// What the user wants of an encoder.
public enum HeadRequest: String, Equatable, Sendable, CaseIterable {
  /// Pooled embeddings where `modules.json` says so, else the head that `architectures` names.
  case automatic
  /// The last hidden states, whatever else is there.
  case none
}

/// The same with what is beside the weights.
enum HeadChoice {
  case automatic(SentencePooling?)
  case none

  /// - Throws: as `SentencePooling` does.
  init(_ request: HeadRequest, folder: String) throws(InputError) {
    switch request {
    case .automatic: self = .automatic(try SentencePooling(folder: folder))
    case .none: self = .none
    }
  }
}

extension HeadDescription {
  /// A row of all positions, as sentence-transformers makes it.
  init(_ pooling: SentencePooling) {
    self.init(
      output: .embedding, pooling: pooling.rows, hasUnitLength: pooling.hasUnitLength)
  }

  /// Scores of the token that belongs at a position: dense, activation and norm before them.
  static func masked(
    _ dense: LinearDescription, width: Int? = nil, _ activation: Activation,
    _ norm: NormDescription, _ scores: LinearDescription, isTied: Bool
  ) -> HeadDescription {
    HeadDescription(
      output: .tokenLogits, transform: (dense, width, activation), transformNorm: norm,
      scores: ScoreDescription(matrix: scores, isTied: isTied))
  }

  /// Scores of classes of a text: pooled, dense and activated before them.
  static func classes(
    _ dense: LinearDescription, _ activation: Activation, _ scores: LinearDescription, count: Int,
    pooling: RowPooling = .first
  ) -> HeadDescription {
    HeadDescription(
      output: .classes, pooling: pooling, transform: (dense, nil, activation),
      scores: ScoreDescription(matrix: scores, rowCount: count))
  }

  /// Scores of classes of each position.
  static func tokenClasses(_ scores: LinearDescription = .init("classifier"), count: Int)
    -> HeadDescription
  {
    HeadDescription(
      output: .tokenClasses, scores: ScoreDescription(matrix: scores, rowCount: count))
  }

  /// The tensors that it alone has.
  var keys: [String] {
    let norm = [transformNorm?.gamma, transformNorm?.beta]
    let dense = [transform?.linear.weight, transform?.linear.bias]
    let matrix = scores.flatMap { $0.isTied ? nil : $0.matrix.weight }
    return (norm + dense + [matrix, scores?.matrix.bias]).compactMap(\.self)
  }
}

extension TransformerDescription {
  /// With the head that was chosen.
  ///
  /// A head none of whose tensors is there is no head: then the output is the last hidden states.
  func choosingHead(
    _ choice: HeadChoice, _ configuration: inout Configuration, tensorNames: Set<String>
  ) -> TransformerDescription {
    var result = self
    let architecture = configuration.architecture()
    guard kind == .encoder else {
      if let architecture, HeadDescription.otherTasks.contains(where: architecture.hasSuffix) {
        configuration.fail(
          "architectures",
          "\"\(architecture)\" is not implemented: of decoders only scores of the next token are, "
            + "and the row of the last position would have to be pooled")
      }
      return self
    }
    guard case .automatic(let pooling) = choice else { return self }
    if let pooling {
      result.head = HeadDescription(pooling)
    } else if let task = Task.allCases.first(where: {
      architecture?.hasSuffix($0.rawValue) ?? false
    }),
      let head = tasks[task],
      head.keys.contains(where: { tensorNames.contains(names.storedKey($0)) })
    {
      result.head = head
    }
    return result
  }
}

extension HeadDescription {
  fileprivate static let otherTasks = [
    "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering",
    "DoubleHeadsModel",
  ]
}

extension Configuration {
  /// The class that the weights were saved from, or nil.
  fileprivate mutating func architecture() -> String? {
    mention("architectures", "the class of the model: it names the head")
    return texts("architectures").first
  }

  /// Number of classes: that of their names, else two.
  mutating func classCount() -> Int {
    mention("id2label", "names of classes; two where there are none")
    return memberCount("id2label") ?? integer(
      "num_labels", in: Limits.width, fallback: 2, meaning: "2")
      ?? 2
  }
}
