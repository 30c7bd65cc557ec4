// Chat templates cut into text and the words of tags.

import Bytes

/// A word of a tag.
enum JinjaWord: Equatable {
  case name(String)
  case text(String)
  case integer(Int)
  case sign(String)
}

/// Part of a template.
enum JinjaPart {
  case text(String)
  /// `{{ ... }}`.
  case output([JinjaWord])
  /// `{% ... %}`.
  case statement([JinjaWord])
}

/// Cuts a template as Jinja does with `trim_blocks` and `lstrip_blocks`, as `transformers` sets it.
struct JinjaLexer {
  private let source: Scalars
  private let refuse: (String) -> InputError

  init(_ source: String, refuse: @escaping (String) -> InputError) {
    var scalars = Scalars(source)
    // Python reads lines; Jinja drops the last end.
    var index = 0
    var plain: Scalars = []
    while index < scalars.count {
      if scalars[index] == "\r" {
        plain.append("\n")
        if index + 1 < scalars.count, scalars[index + 1] == "\n" { index += 1 }
      } else {
        plain.append(scalars[index])
      }
      index += 1
    }
    scalars = plain
    if scalars.last == "\n" { scalars.removeLast() }
    self.source = scalars
    self.refuse = refuse
  }

  private static func text(_ scalars: some Sequence<Unicode.Scalar>) -> String {
    String(String.UnicodeScalarView(scalars))
  }

  func parts() throws(InputError) -> [JinjaPart] {
    var result: [JinjaPart] = []
    var position = 0
    var trimsNext = false
    while position < source.count {
      let start = tag(from: position) ?? source.count
      var text = source[position..<start]
      if trimsNext { text = text.drop(while: UnicodeRules.isSpace) }
      trimsNext = false
      guard start < source.count else {
        result.append(.text(JinjaLexer.text(text)))
        break
      }
      let kind = source[start + 1]
      var inner = start + 2
      if inner < source.count, source[inner] == "-" {
        while let last = text.last, UnicodeRules.isSpace(last) { text.removeLast() }
        inner += 1
      } else if inner < source.count, source[inner] == "+" {
        inner += 1
      } else if kind != "{" {
        // Blanks before a tag that begins its line.
        let blank = text.reversed().prefix { $0 == " " || $0 == "\t" }.count
        let before = text.dropLast(blank)
        let beginsLine =
          before.last == "\n" || (before.isEmpty && (position == 0 || source[position - 1] == "\n"))
        if beginsLine { text = before }
      }
      result.append(.text(JinjaLexer.text(text)))
      let close: Unicode.Scalar = kind == "{" ? "}" : kind
      var words: [JinjaWord] = []
      var end = inner
      if kind == "#" {
        while end + 1 < source.count, !(source[end] == "#" && source[end + 1] == "}") { end += 1 }
        if end > inner, source[end - 1] == "-" { trimsNext = true }
      } else {
        (words, end) = try self.words(from: inner, close: close)
        if source[end] == "-" {
          trimsNext = true
          end += 1
        }
      }
      guard end + 1 < source.count else { throw refuse("a tag has no end") }
      position = end + 2
      if kind == "%", words.first == .name("raw") { throw refuse("raw blocks are not done") }
      switch kind {
      case "{": result.append(.output(words))
      case "%": result.append(.statement(words))
      default: break
      }
      if kind != "{", !trimsNext, position < source.count, source[position] == "\n" {
        position += 1
      }
    }
    return result
  }

  /// Where the next tag begins.
  private func tag(from position: Int) -> Int? {
    (position..<max(position, source.count - 1)).first { index in
      source[index] == "{"
        && (source[index + 1] == "{" || source[index + 1] == "%" || source[index + 1] == "#")
    }
  }

  private static let signs = [
    "==", "!=", "<=", ">=", "//", "**", "(", ")", "[", "]", "{", "}", ",", ":", ".", "|", "+", "-",
    "*", "/", "%", "<", ">", "=", "~",
  ]

  /// The words up to `close` and '}', and where these (or the '-' before) stand.
  private func words(from start: Int, close: Unicode.Scalar) throws(InputError)
    -> ([JinjaWord], Int)
  {
    var words: [JinjaWord] = []
    var depth = 0
    var position = start
    func isEnd(_ index: Int) -> Bool {
      index + 1 < source.count && source[index] == close && source[index + 1] == "}"
    }
    while position < source.count {
      let scalar = source[position]
      if depth == 0, isEnd(position) || (scalar == "-" && isEnd(position + 1)) {
        return (words, position)
      }
      if UnicodeRules.isSpace(scalar) {
        position += 1
      } else if scalar == "'" || scalar == "\"" {
        let (text, end) = try literal(from: position)
        words.append(.text(text))
        position = end
      } else if isNameScalar(scalar) {
        let run = source[position...].prefix(while: isNameScalar)
        position += run.count
        let name = JinjaLexer.text(run)
        if (0x30...0x39).contains(scalar.value) {
          guard let value = Int(name) else { throw refuse("the number \(name) is not done") }
          words.append(.integer(value))
        } else {
          words.append(.name(name))
        }
      } else {
        let next = JinjaLexer.text(source[position...].prefix(2))
        guard let sign = JinjaLexer.signs.first(where: next.hasPrefix) else {
          throw refuse("\"\(scalar)\" is not done")
        }
        if "([{".contains(sign) { depth += 1 }
        if ")]}".contains(sign) { depth -= 1 }
        words.append(.sign(sign))
        position += sign.unicodeScalars.count
      }
    }
    throw refuse("a tag has no end")
  }

  private func isNameScalar(_ scalar: Unicode.Scalar) -> Bool {
    scalar.isASCII && UnicodeRules.isWord(scalar)
  }

  /// A text in quotes, and where it is over.
  private func literal(from start: Int) throws(InputError) -> (String, Int) {
    var result: Scalars = []
    var position = start + 1
    while position < source.count, source[position] != source[start] {
      if source[position] == "\\", position + 1 < source.count {
        position += 1
        switch source[position] {
        case "n": result.append("\n")
        case "t": result.append("\t")
        case "r": result.append("\r")
        case "\\", "'", "\"": result.append(source[position])
        default: throw refuse("the escape \\\(source[position]) is not done")
        }
      } else {
        result.append(source[position])
      }
      position += 1
    }
    guard position < source.count else { throw refuse("a text has no end") }
    return (JinjaLexer.text(result), position + 1)
  }
}
