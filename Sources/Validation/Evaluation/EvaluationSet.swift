// The texts of an evaluation, cut into windows that a model takes, and scored pairs.

public import Bytes
public import Models

/// A part of a text that is evaluated at once.
public struct EvaluationWindow: Equatable, Sendable {
  /// Index of the text in its file; pairs count on after the texts.
  public var text: Int
  public var tokens: [Int]
  /// Rows whose logits count: row r predicts tokens[r + 1]. All rows for an encoder.
  public var scored: Range<Int>

  public init(text: Int, tokens: [Int], scored: Range<Int>) {
    self.text = text
    self.tokens = tokens
    self.scored = scored
  }
}

/// What a model is evaluated on.
///
/// A decoder's text of more than `window` tokens is cut into windows that begin every `stride`
/// tokens. Every token but the first of a text is predicted once: in the first window that holds
/// it, from all tokens before it there, which are at least `window - stride` of a longer text. The
/// texts of encoders and prefix decoders are not cut, and of a context nothing is predicted.
public struct EvaluationSet: Sendable {
  /// Two texts by their place in `windows`, with the score people gave them.
  public struct Pair: Equatable, Sendable {
    public var first: Int
    public var second: Int
    public var score: Double
  }

  public private(set) var windows: [EvaluationWindow] = []
  public private(set) var pairs: [Pair] = []
  public private(set) var textCount = 0
  /// Tokens of a window at most, and between the beginnings of two.
  public let window: Int
  public let stride: Int

  /// Longest window where none is asked for: what bounds time and memory of the attention scores.
  public static let defaultWindow = 512

  /// - Parameters:
  ///   - source: File of `texts`, for errors; `pairSource` that of `pairs`.
  /// - Throws: `InputError` for tokens outside the vocabulary, a window or stride that does not fit
  ///   the model, an encoder's text that is too long, pairs for a decoder, and nothing to predict.
  public init(
    model: Model, texts: [[Int]], source: String, pairs: [ScoredPair] = [],
    pairSource: String = "", window: Int? = nil, stride: Int? = nil
  ) throws(InputError) {
    let positions = model.maximumPositions
    self.window = min(window ?? EvaluationSet.defaultWindow, positions)
    self.stride = stride ?? max(self.window / 2, 1)
    if let window, window > positions {
      throw InputError("--window", "\(window) tokens, the model has positions for \(positions)")
    }
    guard model.kind == .encoder || (self.window > 1 && self.stride < self.window) else {
      throw InputError(
        "--stride", "must be below the window of \(self.window)",
        hint: "every token needs at least one token before it in its window")
    }
    for (index, tokens) in texts.enumerated() {
      try append(tokens, of: model, source: source, place: "text \(index)")
    }
    guard pairs.isEmpty || !model.output.isScores else {
      let owner = model.kind.isDecoder ? "decoder" : "model of \(model.output.title)"
      throw InputError(pairSource, "a \(owner) has no sentence embeddings to compare pairs by")
    }
    for (index, pair) in pairs.enumerated() {
      let first = windows.count
      try append(pair.first, of: model, source: pairSource, place: "pair \(index), first")
      try append(pair.second, of: model, source: pairSource, place: "pair \(index), second")
      self.pairs.append(Pair(first: first, second: first + 1, score: pair.score))
    }
    guard !windows.isEmpty else {
      throw InputError(source, "no text has two tokens: there is nothing to predict")
    }
  }

  /// Positions whose output counts.
  public var scoredCount: Int { windows.reduce(0) { $0 + $1.scored.count } }
  /// Tokens that every stage evaluates, those that serve as context only included.
  public var tokenCount: Int { windows.reduce(0) { $0 + $1.tokens.count } }
  /// Length of the longest window.
  public var longestWindow: Int { windows.reduce(0) { max($0, $1.tokens.count) } }

  private mutating func append(
    _ tokens: [Int], of model: Model, source: String, place: String
  ) throws(InputError) {
    for (position, token) in tokens.enumerated()
    where !(0..<model.vocabularySize).contains(token) {
      throw InputError(
        source, place: "\(place), position \(position)",
        "token \(token) is outside the vocabulary of \(model.vocabularySize)",
        hint: "tokenise the texts with this model's tokenizer")
    }
    let text = textCount
    textCount += 1
    guard model.kind == .decoder else {
      guard tokens.count <= model.maximumPositions else {
        throw InputError(
          source, place: place,
          "\(tokens.count) tokens, the model has positions for \(model.maximumPositions)")
      }
      var scored = 0..<tokens.count
      if let markers = model.contextMarkers {
        do throws(InputError) {
          scored = try markers.promptLength(of: tokens) - 1..<tokens.count - 1
        } catch { throw InputError(source, place: place, error.cause, hint: error.hint) }
        guard !scored.isEmpty else { return }
      }
      windows.append(EvaluationWindow(text: text, tokens: tokens, scored: scored))
      return
    }
    var start = 0
    // Tokens before this one have been predicted, or are the first.
    var predicted = 1
    while predicted < tokens.count {
      let end = min(start + window, tokens.count)
      windows.append(
        EvaluationWindow(
          text: text, tokens: Array(tokens[start..<end]),
          scored: predicted - 1 - start..<end - 1 - start))
      predicted = end
      start += stride
    }
  }
}
