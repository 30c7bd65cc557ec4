// Pre-tokenisers: where a normalised text is cut before the model sees the pieces.

import Bytes

/// Part of a text between cuts.
struct Piece: Sendable {
  var scalars: Scalars
  /// Whether it begins where the text does.
  var isFirst: Bool
}

/// One of the pre-tokenisers of Hugging Face's `tokenizers`.
indirect enum PreTokenizer: Sendable {
  /// What becomes of matches.
  enum Behaviour: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
  }

  enum Prepending: String, Sendable { case always, first, never }

  case byteLevel(addsSpace: Bool, splits: RegularExpression?)
  /// Runs of word characters, and runs of others but spaces.
  case words
  case whitespace
  case bert
  case metaspace(Unicode.Scalar, Prepending, splits: Bool)
  case split(Pattern, Behaviour, isInverse: Bool)
  case digits(oneByOne: Bool)
  case punctuation(Behaviour)
  case delimiter(Unicode.Scalar)
  case sequence([PreTokenizer])

  func apply(_ pieces: [Piece]) throws(InputError) -> [Piece] {
    if case .sequence(let steps) = self {
      var pieces = pieces
      for step in steps { pieces = try step.apply(pieces) }
      return pieces
    }
    var result: [Piece] = []
    for piece in pieces where !piece.scalars.isEmpty { result += try apply(piece) }
    return result
  }

  private func apply(_ piece: Piece) throws(InputError) -> [Piece] {
    var piece = piece
    switch self {
    case .sequence: return try apply([piece])
    case .byteLevel(let addsSpace, let pattern):
      if addsSpace, piece.scalars.first != " " { piece.scalars.insert(" ", at: 0) }
      var pieces = [piece]
      if let pattern { pieces = cut(piece, try pattern.matches(in: piece.scalars), .isolated) }
      return pieces.map {
        Piece(scalars: ByteAlphabet.scalars($0.scalars), isFirst: $0.isFirst)
      }
    case .words: return cut(piece, PreTokenizer.words(piece.scalars), .removed, isInverse: true)
    case .whitespace: return cut(piece, where: UnicodeRules.isSpace, .removed)
    case .bert:
      return cut(piece, where: UnicodeRules.isSpace, .removed).flatMap {
        cut($0, where: UnicodeRules.isPunctuation, .isolated)
      }
    case .metaspace(let replacement, let prepending, let splits):
      piece.scalars = piece.scalars.map { $0 == " " ? replacement : $0 }
      let prepends = prepending == .always || (prepending == .first && piece.isFirst)
      if prepends, piece.scalars.first != replacement { piece.scalars.insert(replacement, at: 0) }
      return splits ? cut(piece, where: { $0 == replacement }, .mergedWithNext) : [piece]
    case .split(let pattern, let behaviour, let isInverse):
      return cut(piece, try pattern.matches(in: piece.scalars), behaviour, isInverse: isInverse)
    case .digits(let oneByOne):
      return cut(piece, where: UnicodeRules.isNumeric, oneByOne ? .isolated : .contiguous)
    case .punctuation(let behaviour):
      return cut(piece, where: UnicodeRules.isPunctuation, behaviour)
    case .delimiter(let delimiter): return cut(piece, where: { $0 == delimiter }, .removed)
    }
  }

  private static func words(_ text: Scalars) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var start = 0
    while start < text.count {
      var end = start + 1
      if !UnicodeRules.isSpace(text[start]) {
        let isWord = UnicodeRules.isWord(text[start])
        while end < text.count, !UnicodeRules.isSpace(text[end]),
          UnicodeRules.isWord(text[end]) == isWord
        {
          end += 1
        }
        result.append(start..<end)
      }
      start = end
    }
    return result
  }

  /// Cuts at every scalar by itself that `isMatch` holds for.
  private func cut(
    _ piece: Piece, where isMatch: (Unicode.Scalar) -> Bool, _ behaviour: Behaviour
  ) -> [Piece] {
    let matches = piece.scalars.indices.filter { isMatch(piece.scalars[$0]) }
    return cut(piece, matches.map { $0..<$0 + 1 }, behaviour)
  }

  private func cut(
    _ piece: Piece, _ matches: [Range<Int>], _ behaviour: Behaviour, isInverse: Bool = false
  ) -> [Piece] {
    var parts: [(range: Range<Int>, isMatch: Bool)] = []
    var end = 0
    for match in matches {
      if end < match.lowerBound { parts.append((end..<match.lowerBound, isInverse)) }
      parts.append((match, !isInverse))
      end = match.upperBound
    }
    if end < piece.scalars.count { parts.append((end..<piece.scalars.count, isInverse)) }
    return PreTokenizer.ranges(parts, behaviour).compactMap { range in
      range.isEmpty
        ? nil
        : Piece(
          scalars: Scalars(piece.scalars[range]),
          isFirst: piece.isFirst && range.lowerBound == 0)
    }
  }

  private static func ranges(_ parts: [(range: Range<Int>, isMatch: Bool)], _ behaviour: Behaviour)
    -> [Range<Int>]
  {
    var result: [Range<Int>] = []
    var previousIsMatch = false
    switch behaviour {
    case .removed: return parts.filter { !$0.isMatch }.map(\.range)
    case .isolated: return parts.map(\.range)
    case .contiguous, .mergedWithPrevious:
      for (range, isMatch) in parts {
        let joins =
          behaviour == .contiguous ? isMatch == previousIsMatch : isMatch && !previousIsMatch
        if joins, let last = result.popLast() {
          result.append(last.lowerBound..<range.upperBound)
        } else {
          result.append(range)
        }
        previousIsMatch = isMatch
      }
      return result
    case .mergedWithNext:
      for (range, isMatch) in parts.reversed() {
        if isMatch, !previousIsMatch, let last = result.popLast() {
          result.append(range.lowerBound..<last.upperBound)
        } else {
          result.append(range)
        }
        previousIsMatch = isMatch
      }
      return result.reversed()
    }
  }
}
