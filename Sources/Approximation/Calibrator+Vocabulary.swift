// The owner has the embedding table: every row of it is seen, whatever the text holds.

public import Bytes
public import Models

extension Calibration {
  /// Widens the vocabulary's ranges, up to the first normalisation, to those of every token by
  /// itself: at the first, second and last position where positions are learned, and a few at all; and
  /// computes the scores of tokens with each other in the first attention.
  ///
  /// - Throws: `InputError` for values that are not finite.
  public mutating func includeVocabulary(_ interpreter: FloatInterpreter, source: String)
    throws(InputError)
  {
    let model = interpreter.model
    let last = model.maximumPositions - 1
    var rows = (0..<model.vocabularySize).map { TokenRow(token: $0, position: 0) }
    if model.learnsPositions {
      for position in Set([min(1, last), last]) where position > 0 {
        rows += (0..<model.vocabularySize).map { TokenRow(token: $0, position: position) }
      }
      for token in Set([0, model.vocabularySize / 2, model.vocabularySize - 1]).sorted() {
        rows += (0...last).map { TokenRow(token: token, position: $0) }
      }
    }
    let parts = try Calibration.observe(rows, interpreter) {
      (part, rows) throws(InputError) -> Calibration in
      var result = Calibration()
      var failure: InputError?
      try interpreter.observe(rows: rows) { node, kind, values in
        let name = model.nodes[node].name
        guard let quantity = ObservedQuantity(rawValue: kind.rawValue) else { return }
        guard FloatMatrix.areFinite(values) else {
          let place = (values.firstIndex { !$0.isFinite } ?? 0) * rows.count / values.count
          let cause = "is not finite for token \(rows[place].token)"
          failure = failure ?? InputError(source, place: name, cause)
          return
        }
        guard let range = FloatMatrix.range(of: values) else { return }
        result.include(
          vocabulary: Double(range.lowerBound)...Double(range.upperBound), node: name,
          quantity: quantity)
        if quantity == .variance, let nonzero = Calibration.nonzeroRange(of: values) {
          result.include(vocabulary: nonzero, node: name, quantity: .nonzeroVariance)
        }
      }
      if let failure { throw failure }
      return result
    }
    for part in parts { include(rangesOf: part) }
    try includeFirstAttention(interpreter, source: source)
  }

  /// Calls `body` with parts of `rows` on all cores; nothing for a model without an embedding.
  static func observe<Result: Sendable>(
    _ rows: [TokenRow], _ interpreter: FloatInterpreter,
    _ body: (_ part: Int, _ rows: [TokenRow]) throws(InputError) -> Result
  ) throws(InputError) -> [Result] {
    guard let width = interpreter.model.nodes.first?.width, interpreter.model.rowNodeCount > 0
    else { return [] }
    let parts = interpreter.memory.parts(rowCount: rows.count, columnCount: width)
    return try ConcurrentTasks.map(parts.count) { (part) throws(InputError) in
      try body(part, Array(rows[parts[part]]))
    }
  }
}

extension Model {
  /// Whether the embedding adds a row for each position.
  var learnsPositions: Bool {
    if case .embed(_, .some, _, _)? = nodes.first?.operation { return true }
    return false
  }
}
