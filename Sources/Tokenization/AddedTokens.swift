// Tokens that stand in a text by themselves, such as <|endoftext|>, and are found before all else.

import Bytes

/// A token of `added_tokens`.
struct AddedToken: Sendable, Equatable {
  var id: Int
  var content: String
  var isSingleWord: Bool
  var stripsLeft: Bool
  var stripsRight: Bool
  var isNormalized: Bool
  var isSpecial: Bool
}

/// Finds the longest added token at each place, the leftmost first.
struct AddedTokenFinder: Sendable {
  private let tokens: [AddedToken]
  /// Tokens by their first scalar, the longest first.
  private let candidates: [Unicode.Scalar: [(text: Scalars, token: Int)]]

  /// - Parameter texts: What is searched for each of `tokens`.
  init(_ tokens: [AddedToken], texts: [Scalars]) {
    self.tokens = tokens
    var found: [Unicode.Scalar: [(text: Scalars, token: Int)]] = [:]
    for (index, text) in texts.enumerated() {
      guard let first = text.first else { continue }
      found[first, default: []].append((text, index))
    }
    candidates = found.mapValues { list in
      list.enumerated().sorted {
        ($1.element.text.count, $0.offset) < ($0.element.text.count, $1.offset)
      }.map(\.element)
    }
  }

  /// Parts of `text` in order: an id where it is a token, else the text between tokens.
  func parts(_ text: Scalars) -> [(range: Range<Int>, token: Int?)] {
    guard !candidates.isEmpty else { return [(0..<text.count, nil)] }
    var result: [(range: Range<Int>, token: Int?)] = []
    var end = 0
    var position = 0
    while position < text.count {
      guard let match = longestMatch(in: text, at: position) else {
        position += 1
        continue
      }
      let range = position..<position + match.text.count
      position = range.upperBound
      let token = tokens[match.token]
      if token.isSingleWord, touchesWord(range, in: text) { continue }
      var start = range.lowerBound
      var stop = range.upperBound
      if token.stripsLeft {
        while start > 0, UnicodeRules.isSpace(text[start - 1]) { start -= 1 }
        start = max(start, end)
      }
      if token.stripsRight {
        while stop < text.count, UnicodeRules.isSpace(text[stop]) { stop += 1 }
      }
      if end < start { result.append((end..<start, nil)) }
      result.append((start..<stop, token.id))
      end = stop
    }
    if end < text.count { result.append((end..<text.count, nil)) }
    return result
  }

  private func longestMatch(in text: Scalars, at position: Int) -> (text: Scalars, token: Int)? {
    candidates[text[position]]?.first { candidate in
      text[position...].starts(with: candidate.text)
    }
  }

  private func touchesWord(_ range: Range<Int>, in text: Scalars) -> Bool {
    (range.lowerBound > 0 && UnicodeRules.isWord(text[range.lowerBound - 1]))
      || (range.upperBound < text.count && UnicodeRules.isWord(text[range.upperBound]))
  }
}
