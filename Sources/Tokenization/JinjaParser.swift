// The statements and expressions of chat templates.

import Bytes

indirect enum JinjaExpression {
  case value(JinjaValue)
  case name(String)
  case list([JinjaExpression])
  case map([(key: JinjaExpression, value: JinjaExpression)])
  case member(JinjaExpression, String)
  case index(JinjaExpression, JinjaExpression)
  case slice(JinjaExpression, JinjaExpression?, JinjaExpression?, JinjaExpression?)
  case call(JinjaExpression, [JinjaExpression], [(key: String, value: JinjaExpression)])
  case filter(JinjaExpression, String, [JinjaExpression])
  case test(JinjaExpression, String, isNegated: Bool)
  case unary(String, JinjaExpression)
  case binary(String, JinjaExpression, JinjaExpression)
  case choice(JinjaExpression, if: JinjaExpression, else: JinjaExpression?)
}

indirect enum JinjaStatement {
  case text(String)
  case output(JinjaExpression)
  case conditions([(condition: JinjaExpression?, body: [JinjaStatement])])
  case loop([String], over: JinjaExpression, if: JinjaExpression?, body: [JinjaStatement])
  case set(String, member: String?, JinjaExpression)
}

/// Reads a template; everything that is not known is refused by name.
struct JinjaParser {
  private var parts: ArraySlice<JinjaPart>
  private var words: ArraySlice<JinjaWord> = []
  private let refuse: (String) -> InputError
  private var depth = 0

  init(_ source: String, refuse: @escaping (String) -> InputError) throws(InputError) {
    parts = try JinjaLexer(source, refuse: refuse).parts()[...]
    self.refuse = refuse
  }

  mutating func template() throws(InputError) -> [JinjaStatement] {
    let (body, end) = try body(until: [])
    guard end == nil else { throw refuse("a tag stands there without its beginning") }
    return body
  }

  /// Statements up to a tag that is one of `ends`, whose words follow its name.
  private mutating func body(until ends: [String]) throws(InputError) -> ([JinjaStatement], String?)
  {
    depth += 1
    defer { depth -= 1 }
    guard depth < 50 else { throw refuse("is nested too deeply") }
    var result: [JinjaStatement] = []
    while let part = parts.popFirst() {
      switch part {
      case .text(let text): if !text.isEmpty { result.append(.text(text)) }
      case .output(let content):
        words = content[...]
        result.append(.output(try expression()))
        try finish()
      case .statement(let content):
        words = content[...]
        guard case .name(let name)? = words.popFirst() else { throw refuse("a tag has no name") }
        if ends.contains(name) { return (result, name) }
        switch name {
        case "if": result.append(try conditions())
        case "for": result.append(try loop())
        case "set": result.append(try set())
        // It marks what training counts, and nothing else.
        case "generation", "endgeneration": try finish()
        default: throw refuse("the tag \"\(name)\" is not done")
        }
      }
    }
    guard ends.isEmpty else { throw refuse("lacks the tag \"\(ends.last ?? "")\"") }
    return (result, nil)
  }

  private func finish() throws(InputError) {
    guard words.isEmpty else { throw refuse("a tag holds more than is known") }
  }

  private mutating func conditions() throws(InputError) -> JinjaStatement {
    var branches: [(condition: JinjaExpression?, body: [JinjaStatement])] = []
    var condition: JinjaExpression? = try expression()
    while true {
      try finish()
      let (body, end) = try body(until: condition == nil ? ["endif"] : ["elif", "else", "endif"])
      branches.append((condition, body))
      switch end {
      case "elif": condition = try expression()
      case "else": condition = nil
      default:
        try finish()
        return .conditions(branches)
      }
    }
  }

  private mutating func loop() throws(InputError) -> JinjaStatement {
    var names = [try name()]
    while take(",") { names.append(try name()) }
    guard takeName("in") else { throw refuse("a loop lacks \"in\"") }
    let over = try alternatives()
    let filter = takeName("if") ? try expression() : nil
    try finish()
    let (body, _) = try body(until: ["endfor"])
    try finish()
    return .loop(names, over: over, if: filter, body: body)
  }

  private mutating func set() throws(InputError) -> JinjaStatement {
    let target = try name()
    let member = take(".") ? try name() : nil
    guard take("=") else { throw refuse("such a \"set\" is not done") }
    let value = try expression()
    try finish()
    return .set(target, member: member, value)
  }

  private mutating func take(_ sign: String) -> Bool {
    guard words.first == .sign(sign) else { return false }
    words.removeFirst()
    return true
  }

  private mutating func takeName(_ name: String) -> Bool {
    guard words.first == .name(name) else { return false }
    words.removeFirst()
    return true
  }

  private mutating func name() throws(InputError) -> String {
    guard case .name(let name)? = words.popFirst() else { throw refuse("expected a name") }
    return name
  }

  private mutating func expect(_ sign: String) throws(InputError) {
    guard take(sign) else { throw refuse("expected \"\(sign)\"") }
  }

  private mutating func expression() throws(InputError) -> JinjaExpression {
    depth += 1
    defer { depth -= 1 }
    guard depth < 50 else { throw refuse("is nested too deeply") }
    let value = try alternatives()
    guard takeName("if") else { return value }
    let condition = try alternatives()
    return .choice(value, if: condition, else: takeName("else") ? try expression() : nil)
  }

  private mutating func alternatives() throws(InputError) -> JinjaExpression {
    var left = try conjunction()
    while takeName("or") { left = .binary("or", left, try conjunction()) }
    return left
  }

  private mutating func conjunction() throws(InputError) -> JinjaExpression {
    var left = try negation()
    while takeName("and") { left = .binary("and", left, try negation()) }
    return left
  }

  private mutating func negation() throws(InputError) -> JinjaExpression {
    guard takeName("not") else { return try comparison() }
    depth += 1
    defer { depth -= 1 }
    guard depth < 50 else { throw refuse("is nested too deeply") }
    return .unary("not", try negation())
  }

  private mutating func comparison() throws(InputError) -> JinjaExpression {
    let left = try sum()
    for sign in ["==", "!=", "<", "<=", ">", ">="] where take(sign) {
      let comparison = JinjaExpression.binary(sign, left, try sum())
      return try single(comparison)
    }
    if takeName("in") {
      let comparison = JinjaExpression.binary("in", left, try sum())
      return try single(comparison)
    }
    if words.first == .name("not"), words.dropFirst().first == .name("in") {
      words.removeFirst(2)
      let comparison = JinjaExpression.unary("not", .binary("in", left, try sum()))
      return try single(comparison)
    }
    return left
  }

  /// Throws where a comparison is compared: Jinja chains them.
  private func single(_ comparison: JinjaExpression) throws(InputError) -> JinjaExpression {
    if case .sign(let sign)? = words.first, ["==", "!=", "<", "<=", ">", ">="].contains(sign) {
      throw refuse("chained comparisons are not done")
    }
    return comparison
  }

  private mutating func sum() throws(InputError) -> JinjaExpression {
    var left = try concatenation()
    while true {
      if take("+") {
        left = .binary("+", left, try concatenation())
      } else if take("-") {
        left = .binary("-", left, try concatenation())
      } else {
        return left
      }
    }
  }

  private mutating func concatenation() throws(InputError) -> JinjaExpression {
    var left = try product()
    while take("~") { left = .binary("~", left, try product()) }
    return left
  }

  private mutating func product() throws(InputError) -> JinjaExpression {
    var left = try unary()
    while true {
      if take("%") {
        left = .binary("%", left, try unary())
      } else if take("*") {
        left = .binary("*", left, try unary())
      } else {
        return left
      }
    }
  }

  private mutating func unary() throws(InputError) -> JinjaExpression {
    if take("-") { return .unary("-", try postfix()) }
    return try filters(try postfix())
  }

  private mutating func filters(_ value: JinjaExpression) throws(InputError) -> JinjaExpression {
    var value = value
    while true {
      if take("|") {
        let name = try name()
        var given: [JinjaExpression] = []
        if take("(") {
          let (positional, named) = try arguments()
          guard named.isEmpty else { throw refuse("options of \"\(name)\" are not done") }
          given = positional
        }
        value = .filter(value, name, given)
      } else if takeName("is") {
        let isNegated = takeName("not")
        value = .test(value, try name(), isNegated: isNegated)
      } else {
        return value
      }
    }
  }

  private mutating func postfix() throws(InputError) -> JinjaExpression {
    var value = try primary()
    while true {
      if take(".") {
        value = .member(value, try name())
      } else if take("[") {
        value = try index(of: value)
      } else if take("(") {
        let (positional, named) = try arguments()
        value = .call(value, positional, named)
      } else {
        return value
      }
    }
  }

  private mutating func index(of value: JinjaExpression) throws(InputError) -> JinjaExpression {
    var bounds: [JinjaExpression?] = []
    var bound: JinjaExpression?
    while !take("]") {
      if take(":") {
        bounds.append(bound)
        bound = nil
      } else {
        guard bound == nil, bounds.count < 3 else { throw refuse("such an index is not done") }
        bound = try expression()
      }
    }
    guard !bounds.isEmpty else {
      guard let bound else { throw refuse("an index is empty") }
      return .index(value, bound)
    }
    bounds.append(bound)
    return .slice(value, bounds[0], bounds[1], bounds.count > 2 ? bounds[2] : nil)
  }

  private mutating func arguments() throws(InputError)
    -> ([JinjaExpression], [(key: String, value: JinjaExpression)])
  {
    var positional: [JinjaExpression] = []
    var named: [(key: String, value: JinjaExpression)] = []
    while !take(")") {
      if case .name(let name)? = words.first, words.dropFirst().first == .sign("=") {
        words.removeFirst(2)
        named.append((name, try expression()))
      } else {
        positional.append(try expression())
      }
      guard take(",") || words.first == .sign(")") else { throw refuse("expected \")\"") }
    }
    return (positional, named)
  }

  private mutating func primary() throws(InputError) -> JinjaExpression {
    switch words.popFirst() {
    case .text(let text):
      var text = text
      // Texts beside each other are one.
      while case .text(let more)? = words.first {
        words.removeFirst()
        text += more
      }
      return .value(.text(text))
    case .integer(let value): return .value(.integer(value))
    case .name("true"), .name("True"): return .value(.bool(true))
    case .name("false"), .name("False"): return .value(.bool(false))
    case .name("none"), .name("None"): return .value(.none)
    case .name(let name): return .name(name)
    case .sign("("):
      let value = try expression()
      try expect(")")
      return value
    case .sign("["):
      var list: [JinjaExpression] = []
      while !take("]") {
        list.append(try expression())
        guard take(",") || words.first == .sign("]") else { throw refuse("expected \"]\"") }
      }
      return .list(list)
    case .sign("{"):
      var members: [(key: JinjaExpression, value: JinjaExpression)] = []
      while !take("}") {
        let key = try expression()
        try expect(":")
        members.append((key, try expression()))
        guard take(",") || words.first == .sign("}") else { throw refuse("expected \"}\"") }
      }
      return .map(members)
    case .sign(let sign): throw refuse("\"\(sign)\" is not done there")
    case nil: throw refuse("a tag ends too early")
    }
  }
}
