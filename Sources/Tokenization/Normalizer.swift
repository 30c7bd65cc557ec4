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
      let scalars = Scalars(ordered)
      result += isComposed ? composition(scalars) : scalars
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

  /// Unicode's composition of decomposed and ordered text; Foundation's own goes astray on marks that
  /// follow each other.
  private static func composition(_ text: Scalars) -> Scalars {
    var result: Scalars = []
    var starter: Int?
    // The class of the mark between; nil where the next scalar stands beside the starter.
    var lastClass: UInt8?
    for scalar in text {
      let scalarClass = scalar.properties.canonicalCombiningClass.rawValue
      if let starter, lastClass.map({ $0 < scalarClass }) ?? true,
        let pair = pair(result[starter], scalar)
      {
        result[starter] = pair
        continue
      }
      if scalarClass == 0 {
        starter = result.count
        lastClass = nil
      } else {
        lastClass = scalarClass
      }
      result.append(scalar)
    }
    return result
  }

  /// What two scalars beside each other are composed to; nil where they stay two.
  private static func pair(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
    let (one, two) = (first.value, second.value)
    if (0x1100...0x1112).contains(one), (0x1161...0x1175).contains(two) {
      return Unicode.Scalar(0xac00 + ((one - 0x1100) * 21 + two - 0x1161) * 28)
    }
    if (0xac00...0xd7a3).contains(one), (one - 0xac00) % 28 == 0, (0x11a8...0x11c2).contains(two) {
      return Unicode.Scalar(one + two - 0x11a7)
    }
    guard UnicodeRules.isMark(second) else { return nil }
    // Foundation joins three where it does not join the first two's sum with the third, and takes
    // characters beyond U+FFFF for others: what is made has to come apart again.
    let parts = String(Character(first)).decomposedStringWithCanonicalMapping
    let wanted = Scalars((parts + String(Character(second))).decomposedStringWithCanonicalMapping)
    for before in [String(Character(first)), parts] {
      let composed = (before + String(Character(second))).precomposedStringWithCanonicalMapping
      if composed.unicodeScalars.count == 1,
        Scalars(composed.decomposedStringWithCanonicalMapping) == wanted
      {
        return composed.unicodeScalars.first
      }
    }
    return nil
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
