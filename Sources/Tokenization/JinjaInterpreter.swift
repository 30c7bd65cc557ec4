// Runs chat templates.

import Bytes

/// Evaluates a template's statements; whatever it does not know exactly ends it with an error.
struct JinjaInterpreter {
  private var scopes: [[String: JinjaValue]]
  private(set) var output = ""
  private var stepCount = 0
  private let refuse: (String) -> InputError

  private static let mostSteps = 1_000_000
  private static let longestOutput = 1 << 24

  init(_ names: [String: JinjaValue], refuse: @escaping (String) -> InputError) {
    scopes = [names]
    self.refuse = refuse
  }

  private mutating func step() throws(InputError) {
    stepCount += 1
    guard stepCount <= JinjaInterpreter.mostSteps,
      output.utf8.count <= JinjaInterpreter.longestOutput
    else { throw refuse("does not come to an end") }
  }

  mutating func run(_ statements: [JinjaStatement]) throws(InputError) {
    for statement in statements {
      try step()
      switch statement {
      case .text(let text): output += text
      case .output(let expression):
        guard let text = try value(expression).printed else {
          throw refuse("prints a list or a map")
        }
        output += text
      case .conditions(let branches):
        for (condition, body) in branches
        where try condition.map({ (c) throws(InputError) in try value(c).isTrue }) ?? true {
          try run(body)
          break
        }
      case .loop(let names, let over, let filter, let body):
        try loop(names, over: over, if: filter, body: body)
      case .set(let name, let member, let expression):
        let value = try value(expression)
        if let member {
          guard case .namespace(let namespace) = lookUp(name) else {
            throw refuse("sets a member of what is no namespace")
          }
          namespace.members[member] = value
        } else {
          scopes[scopes.count - 1][name] = value
        }
      }
    }
  }

  private func lookUp(_ name: String) -> JinjaValue {
    scopes.last { $0[name] != nil }?[name] ?? .undefined(name)
  }

  private mutating func loop(
    _ names: [String], over: JinjaExpression, if filter: JinjaExpression?, body: [JinjaStatement]
  ) throws(InputError) {
    var elements: [JinjaValue]
    switch try value(over) {
    case .list(let list): elements = list
    case .undefined: elements = []
    case .map(let members): elements = members.map { .text($0.key) }
    default: throw refuse("loops over what is no list")
    }
    func bind(_ element: JinjaValue) throws(InputError) -> [String: JinjaValue] {
      if names.count == 1 { return [names[0]: element] }
      guard case .list(let parts) = element, parts.count == names.count else {
        throw refuse("a loop has more names than values")
      }
      return Dictionary(zip(names, parts)) { $1 }
    }
    if let filter {
      var kept: [JinjaValue] = []
      for element in elements {
        scopes.append(try bind(element))
        defer { scopes.removeLast() }
        if try value(filter).isTrue { kept.append(element) }
      }
      elements = kept
    }
    for (index, element) in elements.enumerated() {
      var scope = try bind(element)
      scope["loop"] = .map([
        ("index", .integer(index + 1)), ("index0", .integer(index)), ("first", .bool(index == 0)),
        ("last", .bool(index == elements.count - 1)), ("length", .integer(elements.count)),
        ("revindex", .integer(elements.count - index)),
        ("revindex0", .integer(elements.count - index - 1)),
        ("previtem", index > 0 ? elements[index - 1] : .undefined("previtem")),
        ("nextitem", index + 1 < elements.count ? elements[index + 1] : .undefined("nextitem")),
      ])
      scopes.append(scope)
      defer { scopes.removeLast() }
      try run(body)
    }
  }

  private mutating func value(_ expression: JinjaExpression) throws(InputError) -> JinjaValue {
    try step()
    switch expression {
    case .value(let value): return value
    case .name(let name): return lookUp(name)
    case .list(let elements):
      var list: [JinjaValue] = []
      for element in elements { list.append(try value(element)) }
      return .list(list)
    case .map(let members):
      var map: [(key: String, value: JinjaValue)] = []
      for (key, content) in members {
        guard case .text(let name) = try value(key) else { throw refuse("a key is no text") }
        map.append((name, try value(content)))
      }
      return .map(map)
    case .member(let base, let key): return try member(try value(base), key)
    case .index(let base, let index): return try element(try value(base), try value(index))
    case .slice(let base, let start, let end, let stride):
      return try slice(try value(base), start, end, stride)
    case .call(let callee, let positional, let named):
      return try call(callee, positional, named)
    case .filter(let base, let name, let given):
      return try filter(try value(base), name, given)
    case .test(let base, let name, let isNegated):
      return .bool(try test(try value(base), name) != isNegated)
    case .unary("not", let operand): return .bool(!(try value(operand).isTrue))
    case .unary(_, let operand):
      guard case .integer(let number) = try value(operand), number != .min else {
        throw refuse("negates what is no number")
      }
      return .integer(-number)
    case .binary(let sign, let left, let right): return try binary(sign, left, right)
    case .choice(let first, let condition, let second):
      if try value(condition).isTrue { return try value(first) }
      guard let second else { return .undefined("else") }
      return try value(second)
    }
  }

  private func member(_ base: JinjaValue, _ key: String) throws(InputError) -> JinjaValue {
    if case .undefined(let name) = base { throw refuse("\"\(name)\" is undefined") }
    return base.member(key)
  }

  private func element(_ base: JinjaValue, _ index: JinjaValue) throws(InputError) -> JinjaValue {
    switch (base, index) {
    case (.undefined(let name), _): throw refuse("\"\(name)\" is undefined")
    case (.map, .text(let key)), (.namespace, .text(let key)): return base.member(key)
    case (.list(let list), .integer(let index)):
      let place = index < 0 ? list.count + index : index
      return list.indices.contains(place) ? list[place] : .undefined("element \(index)")
    default: throw refuse("such an index is not done")
    }
  }

  private mutating func slice(
    _ base: JinjaValue, _ start: JinjaExpression?, _ end: JinjaExpression?,
    _ stride: JinjaExpression?
  ) throws(InputError) -> JinjaValue {
    func bound(_ expression: JinjaExpression?, _ fallback: Int) throws(InputError) -> Int {
      guard let expression else { return fallback }
      guard case .integer(let number) = try value(expression) else {
        throw refuse("a bound is no number")
      }
      return number
    }
    let step = try bound(stride, 1)
    if case .list(let list) = base, step == -1, start == nil, end == nil {
      return .list(list.reversed())
    }
    guard step == 1 else { throw refuse("such a slice is not done") }
    func range(_ count: Int) throws(InputError) -> Range<Int> {
      func clamped(_ place: Int) -> Int { min(max(place < 0 ? count + place : place, 0), count) }
      let first = clamped(try bound(start, 0))
      return first..<max(first, clamped(try bound(end, count)))
    }
    switch base {
    case .list(let list): return .list(Array(list[try range(list.count)]))
    case .text(let text):
      let scalars = Scalars(text)
      return .text(String(String.UnicodeScalarView(scalars[try range(scalars.count)])))
    default: throw refuse("slices what is no list")
    }
  }

  private mutating func binary(
    _ sign: String, _ left: JinjaExpression, _ right: JinjaExpression
  ) throws(InputError) -> JinjaValue {
    let first = try value(left)
    if sign == "and", !first.isTrue { return first }
    if sign == "or", first.isTrue { return first }
    let second = try value(right)
    switch (sign, first, second) {
    case ("and", _, _), ("or", _, _): return second
    case ("==", _, _): return .bool(first.equals(second))
    case ("!=", _, _): return .bool(!first.equals(second))
    case ("~", _, _):
      guard let before = first.printed, let after = second.printed else {
        throw refuse("joins a list or a map to a text")
      }
      return .text(before + after)
    case ("in", _, .list(let list)): return .bool(list.contains { $0.equals(first) })
    case ("in", .text(let key), .map(let members)):
      return .bool(members.contains { $0.key == key })
    case ("in", .text(let part), .text(let all)):
      return .bool(JinjaText.contains(all, part))
    case ("in", _, .undefined(let name)): throw refuse("\"\(name)\" is undefined")
    case ("+", .text(let before), .text(let after)): return .text(before + after)
    case ("+", .list(let before), .list(let after)): return .list(before + after)
    case (_, .integer(let number), .integer(let other)): return try arithmetic(sign, number, other)
    case (_, .undefined(let name), _), (_, _, .undefined(let name)):
      throw refuse("\"\(name)\" is undefined")
    default: throw refuse("\"\(sign)\" of such values is not done")
    }
  }

  private func arithmetic(_ sign: String, _ left: Int, _ right: Int) throws(InputError)
    -> JinjaValue
  {
    func checked(_ result: (partialValue: Int, overflow: Bool)) throws(InputError) -> JinjaValue {
      guard !result.overflow else { throw refuse("a number is too large") }
      return .integer(result.partialValue)
    }
    switch sign {
    case "+": return try checked(left.addingReportingOverflow(right))
    case "-": return try checked(left.subtractingReportingOverflow(right))
    case "*": return try checked(left.multipliedReportingOverflow(by: right))
    case "%":
      guard right > 0 else { throw refuse("such a remainder is not done") }
      let rest = left % right
      return .integer(rest < 0 ? rest + right : rest)
    case "<": return .bool(left < right)
    case "<=": return .bool(left <= right)
    case ">": return .bool(left > right)
    case ">=": return .bool(left >= right)
    default: throw refuse("\"\(sign)\" is not done")
    }
  }

  private func test(_ value: JinjaValue, _ name: String) throws(InputError) -> Bool {
    switch (name, value) {
    case ("defined", .undefined): return false
    case ("defined", _): return true
    case ("undefined", .undefined): return true
    case ("undefined", _): return false
    case ("none", .none), ("string", .text), ("mapping", .map), ("number", .integer),
      ("sequence", .list), ("sequence", .text), ("sequence", .map), ("iterable", .list),
      ("iterable", .text), ("iterable", .map), ("boolean", .bool), ("integer", .integer):
      return true
    case ("true", .bool(let flag)): return flag
    case ("false", .bool(let flag)): return !flag
    case ("none", _), ("string", _), ("mapping", _), ("number", _), ("sequence", _),
      ("iterable", _), ("boolean", _), ("integer", _), ("true", _), ("false", _):
      return false
    default: throw refuse("the test \"\(name)\" is not done")
    }
  }

  private mutating func filter(_ base: JinjaValue, _ name: String, _ given: [JinjaExpression])
    throws(InputError) -> JinjaValue
  {
    switch (name, base, given.count) {
    case ("default", .undefined, 1), ("d", .undefined, 1): return try value(given[0])
    case ("default", _, 1), ("d", _, 1), ("safe", _, 0): return base
    case ("trim", .text(let text), 0): return .text(JinjaText.stripped(text))
    case ("upper", .text(let text), 0): return .text(text.uppercased())
    case ("lower", .text(let text), 0): return .text(text.lowercased())
    case ("string", _, 0):
      guard let text = base.printed else { throw refuse("prints a list or a map") }
      return .text(text)
    case ("length", .list(let list), 0), ("count", .list(let list), 0): return .integer(list.count)
    case ("length", .text(let text), 0): return .integer(text.unicodeScalars.count)
    case ("length", .map(let members), 0): return .integer(members.count)
    case ("first", .list(let list), 0): return list.first ?? .undefined("first")
    case ("last", .list(let list), 0): return list.last ?? .undefined("last")
    case ("list", .list, 0): return base
    case ("items", .map(let members), 0):
      return .list(members.map { .list([.text($0.key), $0.value]) })
    case ("join", .list(let list), 0...1):
      var separator = ""
      if let expression = given.first {
        guard case .text(let text) = try value(expression) else {
          throw refuse("a separator is no text")
        }
        separator = text
      }
      let parts = list.compactMap(\.printed)
      guard parts.count == list.count else { throw refuse("joins lists or maps") }
      return .text(parts.joined(separator: separator))
    default: throw refuse("the filter \"\(name)\" of such a value is not done")
    }
  }

  private mutating func call(
    _ callee: JinjaExpression, _ positional: [JinjaExpression],
    _ named: [(key: String, value: JinjaExpression)]
  ) throws(InputError) -> JinjaValue {
    if case .name("namespace") = callee, positional.isEmpty {
      let namespace = JinjaValue.Namespace()
      for (key, expression) in named { namespace.members[key] = try value(expression) }
      return .namespace(namespace)
    }
    guard named.isEmpty else { throw refuse("named arguments are not done") }
    var given: [JinjaValue] = []
    for expression in positional { given.append(try value(expression)) }
    if case .name(let name) = callee {
      switch (name, given.count, given.first) {
      case ("raise_exception", 1, .text(let text)): throw refuse("says: \(text)")
      case ("range", 1, .integer(let end)) where end <= 10_000:
        return .list((0..<max(end, 0)).map { .integer($0) })
      default: throw refuse("the function \"\(name)\" is not done")
      }
    }
    guard case .member(let base, let name) = callee else {
      throw refuse("such a call is not done")
    }
    switch (try value(base), name, given.count, given.first) {
    case (.text(let text), "strip", 0, _): return .text(JinjaText.stripped(text))
    case (.text(let text), "lstrip", 0, _):
      return .text(JinjaText.stripped(text, atEnd: false))
    case (.text(let text), "rstrip", 0, _):
      return .text(JinjaText.stripped(text, atStart: false))
    case (.text(let text), "strip", 1, .text(let set)):
      return .text(JinjaText.stripped(text, set: set))
    case (.text(let text), "lstrip", 1, .text(let set)):
      return .text(JinjaText.stripped(text, set: set, atEnd: false))
    case (.text(let text), "rstrip", 1, .text(let set)):
      return .text(JinjaText.stripped(text, set: set, atStart: false))
    case (.text(let text), "upper", 0, _): return .text(text.uppercased())
    case (.text(let text), "lower", 0, _): return .text(text.lowercased())
    case (.text(let text), "startswith", 1, .text(let part)):
      return .bool(text.utf8.starts(with: part.utf8))
    case (.text(let text), "endswith", 1, .text(let part)):
      return .bool(text.utf8.reversed().starts(with: part.utf8.reversed()))
    case (.text(let text), "split", 1, .text(let part)) where !part.isEmpty:
      return .list(JinjaText.split(text, part).map { .text($0) })
    case (.text(let text), "replace", 2, .text(let old)):
      guard case .text(let new) = given[1], !old.isEmpty else {
        throw refuse("such a replacement is not done")
      }
      return .text(JinjaText.split(text, old).joined(separator: new))
    case (.map(let members), "items", 0, _):
      return .list(members.map { .list([.text($0.key), $0.value]) })
    case (.map(let members), "keys", 0, _): return .list(members.map { .text($0.key) })
    case (.map, "get", 1...2, .text(let key)):
      let found = try value(base).member(key)
      guard case .undefined = found else { return found }
      return given.count > 1 ? given[1] : .none
    case (.undefined(let name), _, _, _): throw refuse("\"\(name)\" is undefined")
    default: throw refuse("the method \"\(name)\" of such a value is not done")
    }
  }
}

/// Methods of Python's texts.
enum JinjaText {
  static func stripped(
    _ text: String, set: String? = nil, atStart: Bool = true, atEnd: Bool = true
  ) -> String {
    let marks = set.map { Set($0.unicodeScalars) }
    func isStripped(_ scalar: Unicode.Scalar) -> Bool {
      // Python holds these separators for spaces, too.
      marks?.contains(scalar)
        ?? (UnicodeRules.isSpace(scalar) || (0x1c...0x1f).contains(scalar.value))
    }
    var part = Scalars(text)[...]
    if atStart { part = part.drop(while: isStripped) }
    if atEnd { while let last = part.last, isStripped(last) { part.removeLast() } }
    return String(String.UnicodeScalarView(part))
  }

  static func split(_ text: String, _ separator: String) -> [String] {
    let scalars = Scalars(text)
    let mark = Scalars(separator)
    var result: [String] = []
    var start = 0
    var index = 0
    while index < scalars.count {
      if scalars[index...].starts(with: mark) {
        result.append(String(String.UnicodeScalarView(scalars[start..<index])))
        index += mark.count
        start = index
      } else {
        index += 1
      }
    }
    result.append(String(String.UnicodeScalarView(scalars[start...])))
    return result
  }

  static func contains(_ text: String, _ part: String) -> Bool {
    part.isEmpty || split(text, part).count > 1
  }
}
