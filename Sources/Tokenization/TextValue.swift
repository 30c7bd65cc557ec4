// JSON whose strings keep their bytes: tokens that look alike are different tokens.

import Bytes

/// A JSON value of a tokenizer's file.
///
/// `JSON` keeps members by name, and names in Swift are equal where they are written alike: two
/// tokens that differ in how an accent is stored would be one. Here members stay in a list, and
/// whoever needs a name's bytes reads its `utf8`.
enum TextValue {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case text(String)
  case list([TextValue])
  case members([(key: String, value: TextValue)])

  /// A tokenizer's file has a value a token and three a merge.
  static let maximumValueCount = 1 << 22
  static let maximumByteCount = 1 << 27

  static func read(_ path: String) throws(InputError) -> TextValue {
    let bytes = try MappedFile(path: path).allBytes(atMost: maximumByteCount)
    var parser = TextParser(bytes: bytes, source: path)
    return try parser.document()
  }
}

/// RFC 8259, and the byte order mark that Python's `utf-8-sig` takes off.
private struct TextParser {
  let bytes: [UInt8]
  let source: String
  var position = 0
  var valueCount = 0

  init(bytes: [UInt8], source: String) {
    self.bytes = bytes
    self.source = source
  }

  func failure(_ cause: String) -> InputError { InputError(source, offset: position, cause) }

  var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  mutating func document() throws(InputError) -> TextValue {
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) { position = 3 }
    let value = try value(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw failure("text after the JSON value") }
    return value
  }

  mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
      position += 1
    }
  }

  mutating func value(depth: Int) throws(InputError) -> TextValue {
    guard depth <= JSON.maximumDepth else { throw failure("JSON nested too deeply") }
    valueCount += 1
    guard valueCount <= TextValue.maximumValueCount else {
      throw failure("more than \(TextValue.maximumValueCount) JSON values")
    }
    skipSpace()
    switch next {
    case UInt8(ascii: "{"): return .members(try members(depth: depth))
    case UInt8(ascii: "["):
      var list: [TextValue] = []
      try elements(end: UInt8(ascii: "]")) { (parser) throws(InputError) in
        list.append(try parser.value(depth: depth + 1))
      }
      return .list(list)
    case UInt8(ascii: "\""): return .text(try text())
    default: return try plainValue()
    }
  }

  mutating func members(depth: Int) throws(InputError) -> [(key: String, value: TextValue)] {
    var members: [(key: String, value: TextValue)] = []
    try elements(end: UInt8(ascii: "}")) { (parser) throws(InputError) in
      guard parser.next == UInt8(ascii: "\"") else {
        throw parser.failure("expected a key in quotes")
      }
      let key = try parser.text()
      parser.skipSpace()
      guard parser.next == UInt8(ascii: ":") else {
        throw parser.failure("expected ':' after a key")
      }
      parser.position += 1
      members.append((key, try parser.value(depth: depth + 1)))
    }
    return members
  }

  /// What stands between brackets, with commas between.
  mutating func elements(end: UInt8, _ element: (inout TextParser) throws(InputError) -> Void)
    throws(InputError)
  {
    position += 1
    skipSpace()
    if next == end {
      position += 1
      return
    }
    while true {
      skipSpace()
      try element(&self)
      skipSpace()
      switch next {
      case UInt8(ascii: ","): position += 1
      case end:
        position += 1
        return
      default: throw failure("expected ',' or '\(Unicode.Scalar(end))'")
      }
    }
  }

  /// A number or a word, as the strict reader takes them.
  mutating func plainValue() throws(InputError) -> TextValue {
    let start = position
    while let byte = next, byte > 0x20, !",]}:\"[{".utf8.contains(byte) { position += 1 }
    let word = Array(bytes[start..<position])
    switch try JSON.parse(word, source: source, offset: start) {
    case .null: return .null
    case .bool(let value): return .bool(value)
    case .integer(let value): return .integer(value)
    case .number(let value): return .number(TextParser.quickNumber(word) ?? value)
    case .string, .array, .object: throw failure("expected a JSON value")
    }
  }

  /// The number as the reference (serde_json) reads it: all digits as one integer, times or over a
  /// power of ten, which is one unit off in the last place at times. Ties between the ways to cut a
  /// text depend on that unit. Nil where it is not read so.
  private static func quickNumber(_ word: [UInt8]) -> Double? {
    var digits: UInt64 = 0
    var exponent = 0
    var isFraction = false
    var isFull = false
    for (index, byte) in word.enumerated() {
      switch byte {
      case UInt8(ascii: "-"): break
      case UInt8(ascii: "."): isFraction = true
      case UInt8(ascii: "e"), UInt8(ascii: "E"):
        guard let given = Int(String(decoding: word[(index + 1)...], as: UTF8.self)) else {
          return nil
        }
        exponent += given
        return scaled(digits, exponent, isNegative: word[0] == UInt8(ascii: "-"))
      default:
        let (product, overflows) = digits.multipliedReportingOverflow(by: 10)
        let (sum, overflowsSum) = product.addingReportingOverflow(UInt64(byte & 15))
        isFull = isFull || overflows || overflowsSum
        // Digits of a fraction that no longer fit are left out.
        if isFull {
          guard isFraction else { return nil }
          continue
        }
        digits = sum
        if isFraction { exponent -= 1 }
      }
    }
    return scaled(digits, exponent, isNegative: word[0] == UInt8(ascii: "-"))
  }

  private static func scaled(_ digits: UInt64, _ exponent: Int, isNegative: Bool) -> Double? {
    guard (-308...308).contains(exponent), let power = Double("1e\(abs(exponent))") else {
      return nil
    }
    let value = exponent < 0 ? Double(digits) / power : Double(digits) * power
    return isNegative ? -value : value
  }

  mutating func text() throws(InputError) -> String {
    let start = position
    position += 1
    var isPlain = true
    while let byte = next, byte != UInt8(ascii: "\"") {
      guard byte >= 0x20 else { throw failure("control character in a string") }
      if byte == UInt8(ascii: "\\") {
        isPlain = false
        position += 1
      }
      position += 1
    }
    guard position < bytes.count else {
      throw InputError(source, offset: start, "string without end")
    }
    position += 1
    guard isPlain else {
      // Escapes are rare: the strict reader knows them.
      guard
        case .string(let text) = try JSON.parse(
          Array(bytes[start..<position]), source: source, offset: start)
      else { throw InputError(source, offset: start, "expected a string") }
      return text
    }
    guard let text = String(validating: bytes[start + 1..<position - 1], as: UTF8.self) else {
      throw InputError(source, offset: start, "string is not valid UTF-8")
    }
    return text
  }
}
