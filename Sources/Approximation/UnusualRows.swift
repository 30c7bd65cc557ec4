// Tokens whose embeddings lie far outside what text gave: told, and tried with text.

public import Bytes
public import Models

/// What tokens and positions are like beside those of the calibration text.
///
/// Compared is what the first normalisation divides by the root of, variance (mean square) plus
/// epsilon; where none comes before attention, the largest magnitude of the embedding. Of tokens
/// that are like others there the largest magnitude behind the first layers is compared.
public struct UnusualRows: Equatable, Sendable {
  /// Of the text.
  public var seen: ClosedRange<Double>
  /// Of the tokens and positions that are unusual.
  public var range: ClosedRange<Double>
  /// Ids, those furthest from `seen` first.
  public var tokens: [Int]
  /// In a table of learned positions.
  public var positions: [Int]
  /// Ids of tokens that become far larger in the first layers, the largest first.
  public var massiveTokens: [Int] = []
  /// The tokens that were run with text.
  public var triedTokens: [Int] = []
  /// Length of the text that was run for the positions; 0 for none.
  public var triedLength = 0

  /// What to say of them.
  public var notices: [String] {
    var notices: [String] = []
    let place =
      "what the text gave: the first normalisation sees \(Float(range.lowerBound)) to "
      + "\(Float(range.upperBound)) there, of the text \(Float(seen.lowerBound)) to "
      + "\(Float(seen.upperBound))"
    if !tokens.isEmpty {
      notices.append(
        "\(UnusualRows.text(tokens)) of the vocabulary \(tokens.count == 1 ? "lies" : "lie") far "
          + "outside \(place)\(tried(tokens))")
    }
    if let first = positions.first {
      let tried =
        triedLength > 0
        ? "; a text of \(triedLength) tokens was run, and ranges are as wide as it needs"
        : "; calibrate on text as long as users send"
      notices.append("positions from \(first) on lie far outside \(place)\(tried)")
    }
    if !massiveTokens.isEmpty {
      notices.append(
        "\(UnusualRows.text(massiveTokens)) \(massiveTokens.count == 1 ? "becomes" : "become") far "
          + "larger in the first layers than any of the text\(tried(massiveTokens))")
    }
    return notices
  }

  /// "1 token (7)".
  private static func text(_ tokens: [Int]) -> String {
    let shown = tokens.prefix(shownCount).map(String.init).joined(separator: ", ")
    return "\(tokens.count) \(tokens.count == 1 ? "token" : "tokens") (\(shown)"
      + (tokens.count > shownCount ? ", ...)" : ")")
  }

  /// What was done about `tokens`, and for which texts that is enough.
  private func tried(_ tokens: [Int]) -> String {
    let count = Set(tokens).intersection(triedTokens).count
    if count == 0 { return "; calibrate on text that holds what users send of them" }
    let done = count == tokens.count ? (count == 1 ? "it" : "each") : "\(count) of them"
    return
      "; \(done) \(count == tokens.count ? "was" : "were") run with the beginning of a text, and ranges are as wide as that needs: "
      + "texts with one such token are answered as others are; if users send "
      + (count == tokens.count ? "many, " : "others, or many, ")
      + "calibrate on text that holds them"
  }

  private static let shownCount = 8

  /// A row is unusual this many times below or above what text gave.
  public static let factor = 4.0
  /// Unusual tokens that are run with text, and tokens of the text that they are run with.
  static let triedCount = 12
  static let triedTextLength = 12
}

extension Calibration {
  /// Whether every row of the vocabulary of `model` was seen; files of earlier versions have none.
  public func coversVocabulary(of model: Model) -> Bool {
    model.rowNodeCount == 0
      || !vocabularyRanges.isEmpty && (model.firstAttention == nil || !pairScores.isEmpty)
  }

  /// Whether some row of the vocabulary lies far outside what text gave, or leads there.
  public func hasUnusualRows(of model: Model) -> Bool {
    if hasMassiveTokens(of: model) { return true }
    guard let measure = RowMeasure(model), let seen = measure.range(ranges),
      let rows = measure.range(vocabularyRanges)
    else { return false }
    return measure.isUnusual(rows, beside: seen)
  }

  /// Finds the vocabulary's unusual rows, runs some of them with the beginning of `texts`, and
  /// widens the ranges of all nodes to what these gave; nil where no row is unusual.
  ///
  /// - Throws: `InputError` where a weight cannot be read, and for values that are not finite.
  public mutating func includeUnusualRows(
    _ interpreter: FloatInterpreter, texts: [[Int]], source: String
  ) throws(InputError) -> UnusualRows? {
    let model = interpreter.model
    guard hasUnusualRows(of: model), let measure = RowMeasure(model),
      let seen = measure.range(ranges)
    else { return nil }
    func unusual(_ rows: [TokenRow]) throws(InputError) -> [(row: TokenRow, value: Double)] {
      let parts = try Calibration.observe(rows, interpreter) { (_, rows) throws(InputError) in
        try measure.values(rows, interpreter)
      }
      return zip(rows, parts.joined())
        .filter { measure.distance($1, from: seen) > UnusualRows.factor && !seen.contains($1) }
        .map { (row: $0, value: $1) }
    }
    let position = model.learnsPositions ? min(1, model.maximumPositions - 1) : 0
    let found = try unusual(
      (0..<model.vocabularySize).filter { !seenTokens.contains($0) }
        .map { TokenRow(token: $0, position: position) }
    ).sorted { measure.distance($0.value, from: seen) > measure.distance($1.value, from: seen) }
    let places =
      model.learnsPositions
      ? try unusual(
        (0..<model.maximumPositions).map {
          TokenRow(token: seenTokens.min() ?? model.vocabularySize / 2, position: $0)
        }) : []
    let massive = try massiveTokens(interpreter, source: source).map(\.token)
    let values = (found + places).map(\.value)
    guard !values.isEmpty || !massive.isEmpty else { return nil }
    var result = UnusualRows(
      seen: seen, range: (values.min() ?? 0)...(values.max() ?? 0), tokens: found.map(\.row.token),
      positions: places.map(\.row.position), massiveTokens: massive)
    result.triedTokens = UnusualRows.spread(result.tokens)
    result.triedTokens += UnusualRows.spread(massive.filter { !result.tokens.contains($0) })
    result.triedLength = (result.positions.max() ?? -1) + 1
    try include(result, interpreter, texts: texts, source: source)
    return result
  }

  /// Each of the tokens before and behind the beginning of a text, all together, and a text that
  /// reaches the positions.
  private mutating func include(
    _ rows: UnusualRows, _ interpreter: FloatInterpreter, texts: [[Int]], source: String
  ) throws(InputError) {
    let (model, tokens) = (interpreter.model, rows.triedTokens)
    let markerCount = model.contextMarkers == nil ? 0 : 2
    let length = min(UnusualRows.triedTextLength, model.maximumPositions - 1 - markerCount)
    var tried: [[Int]] = []
    for (index, token) in tokens.enumerated() {
      let text = texts.isEmpty ? [] : Array(texts[index % texts.count].prefix(length))
      tried.append([token] + text)
      if !text.isEmpty { tried.append(text + [token]) }
    }
    if tokens.count > 1 {
      let most = model.maximumPositions - markerCount
      tried.append(Array(tokens.prefix(most)))
      tried.append(Array(tokens.reversed().prefix(most)))
    }
    if rows.triedLength > 0 {
      let all = texts.isEmpty ? seenTokens.sorted() : texts.flatMap { $0 }
      let text = all.isEmpty ? [0] : all
      tried.append((0..<rows.triedLength).map { text[$0 % text.count] })
    }
    guard !tried.isEmpty else { return }
    if let markers = model.contextMarkers {
      tried = tried.flatMap { text in
        [markers.text(context: text), markers.text(context: [], generated: text)]
      }
    }
    let other = try Calibration.observe(interpreter, texts: tried, source: source)
    for (node, quantities) in other.ranges {
      for (quantity, range) in quantities {
        include(vocabulary: range, node: node, quantity: quantity)
      }
    }
  }
}

extension UnusualRows {
  /// The first half of those that are tried, and as many spread over the rest.
  static func spread(_ tokens: [Int]) -> [Int] {
    guard tokens.count > triedCount else { return tokens }
    let half = triedCount / 2
    let rest = tokens.count - half
    return Array(tokens.prefix(half))
      + (0..<triedCount - half).map { tokens[half + $0 * (rest - 1) / (triedCount - half - 1)] }
  }
}

/// The number by which rows are compared.
private struct RowMeasure {
  /// The node that it is of, and the epsilon of a normalisation.
  let node: Int
  let name: String
  let epsilon: Double?

  /// nil for a model without an embedding.
  init?(_ model: Model) {
    let count = model.rowNodeCount
    guard count > 0 else { return nil }
    switch model.nodes[count - 1].operation {
    case .layerNorm(_, let settings), .rmsNorm(_, let settings):
      epsilon = settings.epsilon
      node = count - 1
    default:
      epsilon = nil
      node = 0
    }
    name = model.nodes[node].name
  }

  func range(_ ranges: [String: [ObservedQuantity: ClosedRange<Double>]]) -> ClosedRange<Double>? {
    guard let range = ranges[name]?[epsilon == nil ? .output : .variance] else { return nil }
    guard let epsilon else {
      return 0...max(abs(range.lowerBound), abs(range.upperBound))
    }
    return max(range.lowerBound, 0) + epsilon...max(range.upperBound, 0) + epsilon
  }

  func isUnusual(_ rows: ClosedRange<Double>, beside seen: ClosedRange<Double>) -> Bool {
    [rows.lowerBound, rows.upperBound].contains { distance($0, from: seen) > UnusualRows.factor }
  }

  /// How many times `value` is below or above what was seen; 1 within.
  func distance(_ value: Double, from seen: ClosedRange<Double>) -> Double {
    if value > seen.upperBound { return value / max(seen.upperBound, .leastNormalMagnitude) }
    if value < seen.lowerBound { return seen.lowerBound / max(value, .leastNormalMagnitude) }
    return 1
  }

  /// Of each of `rows`.
  func values(_ rows: [TokenRow], _ interpreter: FloatInterpreter) throws(InputError) -> [Double] {
    var result: [Double] = []
    let width = interpreter.model.nodes[node].width
    try interpreter.observe(rows: rows) { index, kind, values in
      guard index == node else { return }
      if let epsilon {
        guard kind == .variance else { return }
        // The largest of its groups stands for a row.
        let groups = values.count / rows.count
        result = stride(from: 0, to: values.count, by: groups).map { start in
          Double(values[start..<start + groups].reduce(0, max)) + epsilon
        }
      } else if kind == .output {
        result = stride(from: 0, to: values.count, by: width).map { start in
          Double(values[start..<start + width].reduce(0) { max($0, abs($1)) })
        }
      }
    }
    return result
  }
}
