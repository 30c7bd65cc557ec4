// The part of a text that ChatGLM's positions all see, and the two positions of each token.

public import Bytes

/// Tokens that end the context of a prefix decoder such as ChatGLM: the context is everything
/// before the first `startToken`, and its positions see each other, later ones too.
public struct ContextMarkers: Equatable, Sendable {
  /// The token that generation begins with.
  public var startToken: Int
  /// Tokens that stand for the text to come; the first of these that a text holds counts.
  public var maskTokens: [Int]

  public init(startToken: Int, maskTokens: [Int]) {
    self.startToken = startToken
    self.maskTokens = maskTokens
  }

  /// Where the context of `tokens` ends and where the text to come belongs.
  /// - Throws: `InputError` where one of the tokens is missing.
  func context(of tokens: [Int]) throws(InputError) -> TextContext {
    guard let length = tokens.firstIndex(of: startToken) else {
      throw InputError("tokens", "the start token \(startToken) is missing", hint: hint)
    }
    for token in maskTokens {
      if let place = tokens.firstIndex(of: token) {
        return TextContext(length: length, maskPosition: place)
      }
    }
    throw InputError("tokens", "the mask token \(maskNames) is missing", hint: hint)
  }

  /// Tokens of the prompt that `tokens` begins with: the context, whose last token is the mask, and
  /// the start token.
  ///
  /// Where the mask stands is public in two-party inference, so that it can stand in one place only.
  /// - Throws: `InputError` where mask and start token are missing, or not next to each other.
  public func promptLength(of tokens: [Int]) throws(InputError) -> Int {
    let context = try context(of: tokens)
    guard context.maskPosition == context.length - 1 else {
      throw InputError(
        "tokens",
        "the mask token \(tokens[context.maskPosition]) at position \(context.maskPosition) does "
          + "not stand right before the start token \(startToken) at position \(context.length)",
        hint: "where a mask stands would be seen: fill in at the end of the context")
    }
    return context.length + 1
  }

  /// Throws `InputError` unless `prompt` ends in mask and start token, and holds them nowhere else.
  public func check(prompt: [Int]) throws(InputError) {
    let length = try promptLength(of: prompt)
    guard length == prompt.count else {
      throw InputError(
        "tokens",
        "the start token \(startToken) at position \(length - 1) is not the last of "
          + "\(prompt.count)", hint: hint)
    }
  }

  /// `context` and `generated`, without markers in them, as a text with markers between them.
  public func text(context: [Int], generated: [Int] = []) -> [Int] {
    func plain(_ tokens: [Int]) -> [Int] {
      tokens.filter { $0 != startToken && !maskTokens.contains($0) }
    }
    return plain(context) + maskTokens.prefix(1) + [startToken] + plain(generated)
  }

  private var maskNames: String { maskTokens.map(String.init).joined(separator: " or ") }
  private var hint: String {
    "a text is a context, the mask token \(maskNames), the start token \(startToken), and what "
      + "is generated"
  }
}

extension ContextMarkers {
  /// The member of an object that holds them.
  public static let key = "contextMarkers"

  public var json: JSON {
    [
      "startToken": .integer(startToken),
      "maskTokens": .array(maskTokens.map(JSON.integer)),
    ]
  }

  /// Reads the member that a prefix decoder has, and no model of another kind.
  public init?(_ reader: inout JSONReader, of kind: ModelKind) throws(InputError) {
    guard reader.contains(Self.key) == (kind == .prefixDecoder) else {
      throw reader.failure(
        Self.key, kind == .prefixDecoder ? "missing key" : "is not for a model of kind \(kind)")
    }
    guard kind == .prefixDecoder, let value = reader.optional(Self.key) else { return nil }
    var entry = try JSONReader(value, source: reader.source, place: reader.path(Self.key))
    startToken = try entry.integer("startToken", in: 0...(1 << 24) - 1)
    maskTokens = try entry.integers("maskTokens")
    guard (1...16).contains(maskTokens.count), !maskTokens.contains(startToken),
      maskTokens.allSatisfy({ (0..<1 << 24).contains($0) })
    else { throw entry.failure("maskTokens", "expected tokens other than the start token") }
    try entry.finish()
  }
}

/// The context of one text; that of a text without one has no positions.
struct TextContext: Equatable {
  var length = 0
  var maskPosition = 0

  /// Place in the context, that of the mask for what comes after it (Du et al. 2022, section 2.1).
  func contextPosition(_ position: Int) -> Int { position < length ? position : maskPosition }

  /// Place in the generated text, counted from one; zero in the context.
  func blockPosition(_ position: Int) -> Int { max(position - length + 1, 0) }
}
