// The part of a text that ChatGLM's positions all see, and the two positions of each token.

import Bytes

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
      throw InputError("tokens", "the start token \(startToken) is missing")
    }
    for token in maskTokens {
      if let place = tokens.firstIndex(of: token) {
        return TextContext(length: length, maskPosition: place)
      }
    }
    let names = maskTokens.map(String.init).joined(separator: " or ")
    throw InputError("tokens", "the mask token \(names) is missing")
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
