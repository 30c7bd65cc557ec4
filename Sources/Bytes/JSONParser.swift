// A strict JSON reader for untrusted bytes: RFC 8259, one value, no duplicate keys, bounded depth.

extension JSON {
  /// What is read beside RFC 8259.
  public enum Dialect: Sendable {
    case strict
    /// What Python's json module writes and other tools' settings hold: a byte order mark, and
    /// NaN, Infinity and -Infinity, which become strings of these names, so that nothing takes
    /// them for numbers.
    case python
  }

  /// Deepest nesting of arrays and objects that is read.
  public static let maximumDepth = 64
  /// Most values, nested ones counted, that are read from a file that nobody vouches for: a value
  /// of two bytes of text may take a hundred in memory.
  public static let maximumUntrustedValueCount = 1 << 18

  /// Parses exactly one JSON value; `source` names the file in errors, `offset` is where it starts.
  ///
  /// Numbers without fraction and exponent that fit `Int` become `.integer`, all others `.number`.
  /// - Throws: `InputError` with the byte offset for anything RFC 8259 does not allow, for a
  ///   duplicate key, for nesting beyond `maximumDepth`, for more than `valueLimit` values, and for
  ///   values that would take more than `memoryLimit` bytes.
  public static func parse(
    _ bytes: [UInt8], source: String, offset: Int = 0, valueLimit: Int = .max,
    memoryLimit: Int = .max, dialect: Dialect = .strict
  ) throws(InputError) -> JSON {
    var parser = JSONParser(
      bytes: bytes, source: source, base: offset, valueLimit: valueLimit,
      memoryLimit: memoryLimit, dialect: dialect)
    parser.skipByteOrderMark()
    parser.skipWhiteSpace()
    let value = try parser.value(depth: 0)
    try parser.finish()
    return value
  }

  /// Parses an object that begins with the first byte; `offsets` tells where each of its keys
  /// stands.
  /// - Throws: as `parse`.
  public static func parseObject(
    _ bytes: [UInt8], source: String, offset: Int, valueLimit: Int = .max
  ) throws(InputError) -> (members: [String: JSON], offsets: [String: Int]) {
    guard bytes.first == UInt8(ascii: "{") else {
      throw InputError(source, offset: offset, "does not begin with '{'")
    }
    var parser = JSONParser(bytes: bytes, source: source, base: offset, valueLimit: valueLimit)
    let members = try parser.members(depth: 0)
    try parser.finish()
    return (members, parser.offsets)
  }

  public static func parse(_ text: String, source: String) throws(InputError) -> JSON {
    try parse(Array(text.utf8), source: source)
  }
}

private struct JSONParser {
  let bytes: [UInt8]
  let source: String
  let base: Int
  let valueLimit: Int
  let memoryLimit: Int
  let dialect: JSON.Dialect
  var position = 0
  private var valueCount = 0
  private var memoryByteCount = 0
  /// Where the keys of the outermost object stand.
  var offsets: [String: Int] = [:]

  /// An upper bound of what containers take, as the standard library grows them.
  private enum Memory {
    static let object = 160
    static let member = 144
    static let array = 64
    static let element = 48
    static let longString = 48
  }

  init(
    bytes: [UInt8], source: String, base: Int, valueLimit: Int, memoryLimit: Int = .max,
    dialect: JSON.Dialect = .strict
  ) {
    self.valueLimit = valueLimit
    self.memoryLimit = memoryLimit
    self.dialect = dialect
    self.bytes = bytes
    self.source = source
    self.base = base
  }

  func failure(_ cause: String, at place: Int? = nil) -> InputError {
    InputError(source, offset: base + (place ?? position), cause)
  }

  var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  /// Counts memory that a value takes.
  mutating func take(_ byteCount: Int) throws(InputError) {
    memoryByteCount += byteCount
    guard memoryByteCount <= memoryLimit else {
      throw failure("the JSON values take more than \(memoryLimit) bytes")
    }
  }

  mutating func skipWhiteSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
      position += 1
    }
  }

  mutating func skipByteOrderMark() {
    if dialect == .python, bytes.starts(with: [0xef, 0xbb, 0xbf]) { position = 3 }
  }

  /// One of Python's names of numbers that JSON does not have, or nil where there is none.
  mutating func nonNumber() -> JSON? {
    guard dialect == .python else { return nil }
    for name in ["NaN", "Infinity", "-Infinity"]
    where bytes[position...].starts(with: Array(name.utf8)) {
      position += name.utf8.count
      return .string(name)
    }
    return nil
  }

  mutating func finish() throws(InputError) {
    skipWhiteSpace()
    guard position == bytes.count else { throw failure("text after the JSON value") }
  }

  mutating func expect(_ literal: StaticString, _ value: JSON) throws(InputError) -> JSON {
    for byte in literal.description.utf8 {
      guard next == byte else { throw failure("invalid JSON literal") }
      position += 1
    }
    return value
  }

  mutating func value(depth: Int) throws(InputError) -> JSON {
    guard depth <= JSON.maximumDepth else { throw failure("JSON nested too deeply") }
    valueCount += 1
    guard valueCount <= valueLimit else { throw failure("more than \(valueLimit) JSON values") }
    switch next {
    case nil: throw failure("JSON text ends too early")
    case UInt8(ascii: "{"): return .object(try members(depth: depth))
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try expect("true", .bool(true))
    case UInt8(ascii: "f"): return try expect("false", .bool(false))
    case UInt8(ascii: "n"): return try expect("null", .null)
    default:
      if let name = nonNumber() { return name }
      return try number()
    }
  }

  mutating func members(depth: Int) throws(InputError) -> [String: JSON] {
    position += 1
    try take(Memory.object)
    var members: [String: JSON] = [:]
    skipWhiteSpace()
    if next == UInt8(ascii: "}") {
      position += 1
      return members
    }
    while true {
      skipWhiteSpace()
      let start = position
      guard next == UInt8(ascii: "\"") else { throw failure("expected a key in quotes") }
      let key = try string()
      guard members[key] == nil else { throw failure("duplicate key \"\(key)\"", at: start) }
      try take(Memory.member)
      if depth == 0 {
        try take(Memory.member)
        offsets[key] = base + start
      }
      skipWhiteSpace()
      guard next == UInt8(ascii: ":") else { throw failure("expected ':' after a key") }
      position += 1
      skipWhiteSpace()
      members[key] = try value(depth: depth + 1)
      skipWhiteSpace()
      switch next {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "}"):
        position += 1
        return members
      default: throw failure("expected ',' or '}' in an object")
      }
    }
  }

  mutating func array(depth: Int) throws(InputError) -> JSON {
    position += 1
    try take(Memory.array)
    var elements: [JSON] = []
    skipWhiteSpace()
    if next == UInt8(ascii: "]") {
      position += 1
      return .array(elements)
    }
    while true {
      skipWhiteSpace()
      try take(Memory.element)
      elements.append(try value(depth: depth + 1))
      skipWhiteSpace()
      switch next {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "]"):
        position += 1
        return .array(elements)
      default: throw failure("expected ',' or ']' in an array")
      }
    }
  }

  mutating func number() throws(InputError) -> JSON {
    let start = position
    var isInteger = true
    func isDigit(_ byte: UInt8?) -> Bool { byte.map { $0 >= 0x30 && $0 <= 0x39 } ?? false }
    if next == UInt8(ascii: "-") { position += 1 }
    guard isDigit(next) else { throw failure("expected a JSON value") }
    if next == UInt8(ascii: "0") {
      position += 1
    } else {
      while isDigit(next) { position += 1 }
    }
    if next == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      guard isDigit(next) else { throw failure("expected a digit after the decimal point") }
      while isDigit(next) { position += 1 }
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
      guard isDigit(next) else { throw failure("expected a digit in the exponent") }
      while isDigit(next) { position += 1 }
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let value = Int(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else {
      throw failure("number out of range", at: start)
    }
    return .number(value)
  }

  mutating func string() throws(InputError) -> String {
    let start = position
    position += 1
    var content: [UInt8] = []
    while true {
      guard let byte = next else { throw failure("string without end", at: start) }
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: content, as: UTF8.self) else {
          throw failure("string is not valid UTF-8", at: start)
        }
        // Short strings lie in the value itself.
        if content.count > 15 { try take(Memory.longString + content.count) }
        return text
      case UInt8(ascii: "\\"): try escape(into: &content)
      case 0..<0x20: throw failure("control character in a string", at: position - 1)
      default: content.append(byte)
      }
    }
  }

  mutating func escape(into content: inout [UInt8]) throws(InputError) {
    guard let byte = next else { throw failure("string that ends in an escape") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
    case UInt8(ascii: "b"): content.append(0x08)
    case UInt8(ascii: "f"): content.append(0x0c)
    case UInt8(ascii: "n"): content.append(0x0a)
    case UInt8(ascii: "r"): content.append(0x0d)
    case UInt8(ascii: "t"): content.append(0x09)
    case UInt8(ascii: "u"):
      let start = position - 2
      var code = try hexadecimal()
      if (0xd800..<0xdc00).contains(code), bytes[position...].starts(with: Array("\\u".utf8)) {
        position += 2
        let low = try hexadecimal()
        // Without its other half a surrogate is no scalar.
        if (0xdc00..<0xe000).contains(low) {
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
        }
      }
      guard let scalar = Unicode.Scalar(code) else { throw failure("lone surrogate", at: start) }
      content.append(contentsOf: String(scalar).utf8)
    default: throw failure("unknown escape in a string", at: position - 2)
    }
  }

  mutating func hexadecimal() throws(InputError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue,
        byte < 0x80
      else { throw failure("expected four hexadecimal digits") }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }
}
