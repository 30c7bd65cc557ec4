// Reading regular expressions: alternatives, groups, sets, classes, counts, look-ahead.

import Bytes

extension RegularExpression {
  /// Reads `pattern`: literals, escapes, `.`, `\s \d \w \p{L}` and their complements, sets in
  /// brackets, `(?:...)`, `(?i:...)`, `(?=...)`, `(?!...)`, `|`, `? * + {m,n}`, possessive `?+ *+
  /// ++` of single characters, and `$`.
  ///
  /// - Throws: an error that `Tokenizer.refuses` knows for everything else.
  init(_ pattern: String, source: String, place: String) throws(InputError) {
    var parser = PatternParser(pattern: pattern, source: source, place: place)
    instructions = try parser.read()
    self.pattern = pattern
  }
}

private struct PatternParser {
  typealias Instruction = RegularExpression.Instruction
  typealias ScalarSet = RegularExpression.ScalarSet

  private let pattern: [Unicode.Scalar]
  private let source: String
  private let place: String
  private var position = 0
  private var ignoresCase = false
  private var depth = 0
  private static let longestProgram = 10_000

  init(pattern: String, source: String, place: String) {
    self.pattern = Array(pattern.unicodeScalars)
    self.source = source
    self.place = place
  }

  private func refusal(_ cause: String) -> InputError {
    let text = String(String.UnicodeScalarView(pattern))
    return InputError(
      source, place: place, "the pattern \"\(text)\": \(cause)", hint: Tokenizer.refusalHint)
  }

  private var next: Unicode.Scalar? { position < pattern.count ? pattern[position] : nil }

  private mutating func take(_ text: String) -> Bool {
    let wanted = Array(text.unicodeScalars)
    guard pattern[position...].starts(with: wanted) else { return false }
    position += wanted.count
    return true
  }

  mutating func read() throws(InputError) -> [Instruction] {
    let program = try alternatives()
    guard position == pattern.count else { throw refusal("has a ')' too many") }
    return program + [.accept]
  }

  /// Targets of jumps inside an instruction list count from its start; this moves them.
  private func moved(_ program: [Instruction], by offset: Int) -> [Instruction] {
    program.map { instruction in
      switch instruction {
      case .attempt(let otherwise): .attempt(otherwise: otherwise + offset)
      case .jump(let target): .jump(target + offset)
      case .lookAhead(let isNegated, let end): .lookAhead(isNegated: isNegated, end: end + offset)
      case .scalar, .run, .endOfLine, .accept: instruction
      }
    }
  }

  private mutating func alternatives() throws(InputError) -> [Instruction] {
    var branches = [try branch()]
    while take("|") { branches.append(try branch()) }
    var program = branches.removeLast()
    while let first = branches.popLast() {
      // attempt first, jump behind the rest; rest
      let rest = first.count + 2
      program =
        [.attempt(otherwise: rest)] + moved(first, by: 1) + [.jump(rest + program.count)]
        + moved(program, by: rest)
    }
    return program
  }

  private mutating func branch() throws(InputError) -> [Instruction] {
    var program: [Instruction] = []
    while let scalar = next, scalar != "|", scalar != ")" {
      program += moved(try counted(), by: program.count)
      guard program.count <= PatternParser.longestProgram else { throw refusal("is too long") }
    }
    return program
  }

  /// One atom and how often it may stand there.
  private mutating func counted() throws(InputError) -> [Instruction] {
    let atom = try atom()
    guard let (least, most, mayBePossessive) = try count() else { return atom }
    let isPossessive = mayBePossessive && take("+")
    guard next != "?", next != "*", next != "+" else {
      throw refusal("lazy and repeated counts are not done")
    }
    if atom.count == 1, case .scalar(let set) = atom[0] {
      return [.run(set, least: least, most: most, isPossessive: isPossessive)]
    }
    guard !isPossessive, !atom.isEmpty, atom.count * max(least, most == .max ? 1 : most) <= 1000
    else { throw refusal("such a count of a group is not done") }
    var program: [Instruction] = []
    for _ in 0..<least { program += moved(atom, by: program.count) }
    if most == .max {
      guard !mayBeEmpty(atom) else { throw refusal("a group that may be empty is repeated") }
      let start = program.count
      program.append(.attempt(otherwise: start + atom.count + 2))
      program += moved(atom, by: start + 1) + [.jump(start)]
    } else {
      // Nested: each further one only after the one before.
      let end = program.count + (most - least) * (atom.count + 1)
      for _ in least..<most {
        program.append(.attempt(otherwise: end))
        program += moved(atom, by: program.count)
      }
    }
    return program
  }

  /// Whether there is a way through without a scalar; unsure is yes.
  private func mayBeEmpty(_ program: [Instruction]) -> Bool {
    for instruction in program {
      switch instruction {
      case .scalar: return false
      case .run(_, let least, _, _): if least > 0 { return false }
      case .attempt, .jump, .lookAhead, .endOfLine, .accept: return true
      }
    }
    return true
  }

  /// A count, and whether a '+' after it makes it possessive.
  private mutating func count() throws(InputError) -> (Int, Int, Bool)? {
    if take("?") { return (0, 1, true) }
    if take("*") { return (0, .max, true) }
    if take("+") { return (1, .max, true) }
    guard take("{") else { return nil }
    let text = String(
      String.UnicodeScalarView(pattern[position...].prefix { $0 != "}" }))
    position += text.unicodeScalars.count
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    let least = Int(parts[0])
    let most = parts.count == 1 ? least : parts[1].isEmpty ? .max : Int(parts[1])
    guard take("}"), parts.count <= 2, let least, let most, least <= most, most > 0,
      least <= 1000, most == .max || most <= 1000
    else { throw refusal("the count {\(text)} is not done") }
    return (least, most, false)
  }

  private mutating func atom() throws(InputError) -> [Instruction] {
    guard let scalar = next else { throw refusal("ends too early") }
    position += 1
    switch scalar {
    case "(": return try group()
    case "[": return [.scalar(try set())]
    case ".": return [.scalar(ScalarSet(items: [.range(0xa...0xa)], isNegated: true))]
    case "$": return [.endOfLine]
    case "\\": return [.scalar(ScalarSet(items: [try escape()], ignoresCase: ignoresCase))]
    case "^", "?", "*", "+", "{", ")", "|": throw refusal("\"\(scalar)\" is not done there")
    default:
      return [
        .scalar(
          ScalarSet(items: [.range(scalar.value...scalar.value)], ignoresCase: ignoresCase))
      ]
    }
  }

  private mutating func group() throws(InputError) -> [Instruction] {
    depth += 1
    defer { depth -= 1 }
    guard depth < 50 else { throw refusal("is nested too deeply") }
    let outerIgnoresCase = ignoresCase
    defer { ignoresCase = outerIgnoresCase }
    var isNegated: Bool?
    if take("?=") {
      isNegated = false
    } else if take("?!") {
      isNegated = true
    } else if take("?i:") {
      ignoresCase = true
    } else if !take("?:"), next == "?" {
      throw refusal("such a group is not done")
    }
    let program = try alternatives()
    guard take(")") else { throw refusal("lacks a ')'") }
    guard let isNegated else { return program }
    return [.lookAhead(isNegated: isNegated, end: program.count + 2)] + moved(program, by: 1)
      + [.accept]
  }

  /// What stands between brackets, the first of which was read.
  private mutating func set() throws(InputError) -> ScalarSet {
    depth += 1
    defer { depth -= 1 }
    guard depth < 50 else { throw refusal("is nested too deeply") }
    var set = ScalarSet(isNegated: take("^"), ignoresCase: ignoresCase)
    guard !(set.isNegated && ignoresCase), next != "]" else {
      throw refusal("such a set is not done")
    }
    while let scalar = next, scalar != "]" {
      position += 1
      switch scalar {
      case "[":
        guard next != ":" else { throw refusal("named sets are not done") }
        set.items.append(.set(try self.set()))
      case "\\": set.items.append(try escape())
      case "&" where next == "&": throw refusal("intersections are not done")
      default: set.items.append(.range(scalar.value...scalar.value))
      }
      if next == "-", position + 1 < pattern.count, pattern[position + 1] != "]" {
        position += 1
        guard case .range(let first) = set.items.removeLast() else {
          throw refusal("such a range is not done")
        }
        guard let end = next, end != "[" else { throw refusal("such a range is not done") }
        position += 1
        var last = RegularExpression.ScalarSet.Item.range(end.value...end.value)
        if end == "\\" { last = try escape() }
        guard case .range(let last) = last, first.lowerBound <= last.lowerBound else {
          throw refusal("such a range is not done")
        }
        set.items.append(.range(first.lowerBound...last.lowerBound))
      }
    }
    guard take("]") else { throw refusal("lacks a ']'") }
    return set
  }

  /// What an escape stands for, whose backslash was read.
  private mutating func escape() throws(InputError) -> ScalarSet.Item {
    guard let scalar = next else { throw refusal("ends too early") }
    position += 1
    func one(_ value: UInt32) -> ScalarSet.Item { .range(value...value) }
    switch scalar {
    case "s", "S": return .named(.space, isNegated: scalar == "S")
    case "d", "D": return .named(.digit, isNegated: scalar == "D")
    case "w", "W": return .named(.word, isNegated: scalar == "W")
    case "n": return one(0xa)
    case "r": return one(0xd)
    case "t": return one(0x9)
    case "f": return one(0xc)
    case "v": return one(0xb)
    case "p", "P":
      guard take("{") else { throw refusal("expected '{' after \\p") }
      let isInverse = take("^")
      let name = String(String.UnicodeScalarView(pattern[position...].prefix { $0 != "}" }))
      position += name.unicodeScalars.count
      guard take("}"), let categories = UnicodeRules.categories(name) else {
        throw refusal("\\p{\(name)} is not done")
      }
      return .named(.categories(categories), isNegated: isInverse != (scalar == "P"))
    case "x", "u":
      let digitCount = scalar == "u" ? 4 : 2
      let digits = String(String.UnicodeScalarView(pattern[position...].prefix(digitCount)))
      guard digits.unicodeScalars.count == digitCount, let value = UInt32(digits, radix: 16),
        Unicode.Scalar(value) != nil, scalar == "u" || value < 0x80
      else { throw refusal("such an escape is not done") }
      position += digitCount
      return one(value)
    default:
      guard UnicodeRules.isASCIIPunctuation(scalar) || scalar == " " else {
        throw refusal("\\\(scalar) is not done")
      }
      return one(scalar.value)
    }
  }
}
