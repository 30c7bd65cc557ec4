// The regular expressions of tokenizers: matching by backtracking, first alternative first.

import Bytes

/// A regular expression of the subset that splits of real tokenizers use, as Oniguruma matches it.
///
/// `RegularExpression+Parsing.swift` tells what is read; all else is refused.
struct RegularExpression: Sendable {
  /// A set of scalars: the union of its items, or all others.
  struct ScalarSet: Sendable {
    enum Item: Sendable {
      case range(ClosedRange<UInt32>)
      case named(UnicodeRules.ScalarClass, isNegated: Bool)
      case set(ScalarSet)
    }

    var items: [Item] = []
    var isNegated = false
    var ignoresCase = false

    func contains(_ scalar: Unicode.Scalar) -> Bool {
      var isIn = includes(scalar)
      if ignoresCase, !isIn { isIn = ScalarSet.otherCases(of: scalar).contains(where: includes) }
      return isIn != isNegated
    }

    private func includes(_ scalar: Unicode.Scalar) -> Bool {
      items.contains { item in
        switch item {
        case .range(let range): range.contains(scalar.value)
        case .named(let named, let isNegated): named.contains(scalar) != isNegated
        case .set(let set): set.contains(scalar)
        }
      }
    }

    /// Letters that are `scalar` but for their case: the long s, Kelvin and Angstrom as well.
    private static func otherCases(of scalar: Unicode.Scalar) -> [Unicode.Scalar] {
      let properties = scalar.properties
      let lower = Array(properties.lowercaseMapping.unicodeScalars)
      let upper = Array(properties.uppercaseMapping.unicodeScalars)
      var result: [Unicode.Scalar] = []
      for mapping in [lower, upper] where mapping.count == 1 { result += mapping }
      if upper.count == 1 { result += upper[0].properties.lowercaseMapping.unicodeScalars }
      return result
    }
  }

  /// One step of matching; all but `any` and `jump` go on with the next.
  enum Instruction: Sendable {
    case scalar(ScalarSet)
    /// As many scalars of the set as there are, then fewer unless possessive.
    case run(ScalarSet, least: Int, most: Int, isPossessive: Bool)
    /// The next instruction, else the one at `otherwise`.
    case attempt(otherwise: Int)
    case jump(Int)
    /// Whether what follows, up to `accept`, matches here; goes on at `end`.
    case lookAhead(isNegated: Bool, end: Int)
    case endOfLine
    case accept
  }

  let pattern: String
  let instructions: [Instruction]

  /// Most steps for one scalar of the text and a start: a pattern may be made to take for ever.
  private static let stepsPerMatch = 1 << 24
  private static let deepestAttempt = 2000

  /// The matches in `text` one after the other, none of them empty.
  func matches(in text: [Unicode.Scalar]) throws(InputError) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var start = 0
    while start < text.count {
      var matcher = Matcher(text: text, instructions: instructions)
      let end = matcher.run(0, at: start, depth: 0)
      guard !matcher.gaveUp else {
        throw InputError(
          "tokenizer", "the pattern \"\(pattern)\" takes too long", hint: Tokenizer.refusalHint)
      }
      if let end, end > start {
        result.append(start..<end)
        start = end
      } else {
        start += 1
      }
    }
    return result
  }

  private struct Matcher {
    let text: [Unicode.Scalar]
    let instructions: [Instruction]
    var stepCount = 0
    var gaveUp = false

    /// Where a match of the instructions from `first` on ends.
    mutating func run(_ first: Int, at start: Int, depth: Int) -> Int? {
      var index = first
      var position = start
      while true {
        stepCount += 1
        if stepCount > stepsPerMatch || depth > deepestAttempt { gaveUp = true }
        if gaveUp { return nil }
        switch instructions[index] {
        case .scalar(let set):
          guard position < text.count, set.contains(text[position]) else { return nil }
          position += 1
        case .run(let set, let least, let most, let isPossessive):
          var end = position
          while end < text.count, end - position < most, set.contains(text[end]) { end += 1 }
          stepCount += end - position
          guard end - position >= least else { return nil }
          if !isPossessive {
            while end > position + least {
              if let found = run(index + 1, at: end, depth: depth + 1) { return found }
              if gaveUp { return nil }
              end -= 1
            }
          }
          position = end
        case .attempt(let otherwise):
          if let found = run(index + 1, at: position, depth: depth + 1) { return found }
          index = otherwise
          continue
        case .jump(let target):
          index = target
          continue
        case .lookAhead(let isNegated, let end):
          let isThere = run(index + 1, at: position, depth: depth + 1) != nil
          guard !gaveUp, isThere != isNegated else { return nil }
          index = end
          continue
        case .endOfLine:
          guard position == text.count || text[position] == "\n" else { return nil }
        case .accept: return position
        }
        index += 1
      }
    }
  }
}
