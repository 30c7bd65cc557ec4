// Normalisers: what a text is changed to before it is split.

import Bytes
import Foundation

/// A text, or part of one, on its way to tokens.
typealias Scalars = [Unicode.Scalar]

/// A pattern of replacements and splits.
enum Pattern: Sendable {
  case literal(Scalars)
  case expression(RegularExpression)

  /// The matches in `text` one after the other.
  func matches(in text: Scalars) throws(InputError) -> [Range<Int>] {
    switch self {
    case .expression(let expression): return try expression.matches(in: text)
    case .literal(let literal):
      var result: [Range<Int>] = []
      var start = 0
      while start + literal.count <= text.count {
        if text[start..<start + literal.count].elementsEqual(literal) {
          result.append(start..<start + literal.count)
          start += literal.count
        } else {
          start += 1
        }
      }
      return result
    }
  }
}

/// One of the normalisers of Hugging Face's `tokenizers`.
indirect enum Normalizer: Sendable {
  enum Form: Sendable { case composed, decomposed, compatiblyComposed, compatiblyDecomposed }

  /// What `BertNormalizer` does, in this order.
  struct Bert: Sendable {
    var cleansText: Bool
    var setsIdeographsApart: Bool
    var stripsAccents: Bool
    var lowercases: Bool
  }

  case form(Form)
  case lowercase
  case stripAccents
  case strip(left: Bool, right: Bool)
  case bert(Bert)
  case replace(Pattern, with: Scalars)
  case prepend(Scalars)
  case append(Scalars)
  case nmt
  case characterMap(CharacterMap)
  case byteLevel
  case sequence([Normalizer])

  func apply(_ text: Scalars) throws(InputError) -> Scalars {
    switch self {
    case .form(let form): return Normalizer.normalized(text, form)
    case .lowercase: return Normalizer.lowercased(text)
    case .stripAccents: return text.filter { !UnicodeRules.isCombiningMark($0) }
    case .strip(let left, let right):
      var part = text[...]
      if left { part = part.drop(while: UnicodeRules.isSpace) }
      if right { while let last = part.last, UnicodeRules.isSpace(last) { part.removeLast() } }
      return Array(part)
    case .bert(let bert): return Normalizer.normalized(text, bert)
    case .replace(let pattern, let content):
      var result: Scalars = []
      var end = 0
      for match in try pattern.matches(in: text) {
        result += text[end..<match.lowerBound]
        result += content
        end = match.upperBound
      }
      return result + text[end...]
    case .prepend(let prefix): return text.isEmpty ? text : prefix + text
    case .append(let suffix): return text.isEmpty ? text : text + suffix
    case .nmt: return Normalizer.cleaned(text)
    case .characterMap(let map): return try map.apply(text)
    case .byteLevel: return ByteAlphabet.scalars(text)
    case .sequence(let normalizers):
      var text = text
      for normalizer in normalizers { text = try normalizer.apply(text) }
      return text
    }
  }

  private static func lowercased(_ text: Scalars) -> Scalars {
    text.flatMap { scalar in
      scalar.isASCII
        ? [(0x41...0x5a).contains(scalar.value) ? Unicode.Scalar(UInt8(scalar.value + 32)) : scalar]
        : Array(scalar.properties.lowercaseMapping.unicodeScalars)
    }
  }

  /// A form of Unicode 9: characters that came later stay as they are, and nothing moves past them.
  static func normalized(_ text: Scalars, _ form: Form) -> Scalars {
    if text.allSatisfy(\.isASCII) { return text }
    var result: Scalars = []
    var start = 0
    func finish(_ end: Int) {
      guard start < end else { return }
      let part = String(String.UnicodeScalarView(text[start..<end]))
      let isCompatible = form == .compatiblyComposed || form == .compatiblyDecomposed
      let decomposed =
        isCompatible
        ? part.decomposedStringWithCompatibilityMapping : part.decomposedStringWithCanonicalMapping
      // Once more: Foundation leaves marks that come of a character in another order.
      let ordered = decomposed.decomposedStringWithCanonicalMapping
      let isComposed = form == .composed || form == .compatiblyComposed
      let normalized = isComposed ? ordered.precomposedStringWithCanonicalMapping : ordered
      result += normalized.unicodeScalars
    }
    for (index, scalar) in text.enumerated()
    where !scalar.isASCII && !UnicodeRules.isKnown(scalar, in: 9) {
      finish(index)
      result.append(scalar)
      start = index + 1
    }
    finish(text.count)
    return result
  }

  private static func normalized(_ text: Scalars, _ bert: Bert) -> Scalars {
    var text = text
    if bert.cleansText {
      text = text.filter { !UnicodeRules.isControl($0) && $0.value != 0 }
        .map { UnicodeRules.isSpace($0) ? " " : $0 }
    }
    if bert.setsIdeographsApart {
      text = text.flatMap { UnicodeRules.isIdeograph($0) ? [" ", $0, " "] : [$0] }
    }
    if bert.stripsAccents {
      text = normalized(text, .decomposed).filter { !UnicodeRules.isNonspacingMark($0) }
    }
    return bert.lowercases ? lowercased(text) : text
  }

  /// What Google's translation systems take out, and for spaces.
  private static func cleaned(_ text: Scalars) -> Scalars {
    text.compactMap { scalar in
      switch scalar.value {
      case 0x1...0x8, 0xb, 0xe...0x1f, 0x7f, 0x8f, 0x9f: nil
      case 0x9, 0xa, 0xc, 0xd, 0x1680, 0x200b...0x200f, 0x2028, 0x2029, 0x2581, 0xfeff, 0xfffd:
        " "
      default: scalar
      }
    }
  }
}
