// JSON values and their canonical text: sorted keys, no white space, exact integers.

/// A JSON value whose integers are kept apart from floating-point numbers.
public enum JSON: Equatable, Sendable {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case string(String)
  case array([JSON])
  case object([String: JSON])
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int) { self = .integer(value) }
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(arrayLiteral elements: JSON...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, JSON)...) {
    self = .object(Dictionary(elements, uniquingKeysWith: { _, last in last }))
  }
}

extension JSON {
  /// Canonical text: keys sorted by Unicode scalar, no white space, shortest round-trip numbers.
  public var text: String {
    var result = ""
    append(to: &result, indent: nil, depth: 0)
    return result
  }

  /// The same with one key or element a line, indented by two spaces.
  public var indentedText: String {
    var result = ""
    append(to: &result, indent: 2, depth: 0)
    return result
  }

  /// Whether `bytes` are the canonical text of this value; takes no memory for the text.
  public func isCanonical(_ bytes: [UInt8]) -> Bool {
    var comparison = TextComparison(bytes: bytes)
    append(to: &comparison, indent: nil, depth: 0)
    return comparison.isEqual && comparison.position == bytes.count
  }

  /// Compares text that is written to it with bytes.
  private struct TextComparison: TextOutputStream {
    let bytes: [UInt8]
    var position = 0
    var isEqual = true

    mutating func write(_ text: String) {
      guard isEqual else { return }
      let count = text.utf8.count
      isEqual =
        count <= bytes.count - position
        && bytes[position..<position + count].elementsEqual(text.utf8)
      position += count
    }
  }

  private func append(to result: inout some TextOutputStream, indent: Int?, depth: Int) {
    func newLine(_ depth: Int) {
      if let indent { result.write("\n" + String(repeating: " ", count: indent * depth)) }
    }
    switch self {
    case .null: result.write("null")
    case .bool(let value): result.write(value ? "true" : "false")
    case .integer(let value): result.write(String(value))
    case .number(let value):
      // JSON has no infinities: whoever writes one has a fault that must not look like data.
      precondition(value.isFinite, "a JSON number must be finite")
      result.write(value.description)
    case .string(let value): JSON.append(string: value, to: &result)
    case .array(let elements):
      // A list of plain values stays on one line even when indented.
      let flat = elements.allSatisfy { element in
        if case .object = element { return false }
        if case .array = element { return false }
        return true
      }
      result.write("[")
      for (index, element) in elements.enumerated() {
        if index > 0 { result.write(indent != nil && flat ? ", " : ",") }
        if !flat { newLine(depth + 1) }
        element.append(to: &result, indent: indent, depth: depth + 1)
      }
      if !flat { newLine(depth) }
      result.write("]")
    case .object(let members):
      result.write("{")
      let keys = members.keys.sorted {
        Array($0.unicodeScalars).lexicographicallyPrecedes($1.unicodeScalars)
      }
      for (index, key) in keys.enumerated() {
        if index > 0 { result.write(",") }
        newLine(depth + 1)
        JSON.append(string: key, to: &result)
        result.write(indent == nil ? ":" : ": ")
        members[key]?.append(to: &result, indent: indent, depth: depth + 1)
      }
      if !keys.isEmpty { newLine(depth) }
      result.write("}")
    }
  }

  private static func append(string: String, to result: inout some TextOutputStream) {
    let digits = Array("0123456789abcdef")
    result.write("\"")
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": result.write("\\\"")
      case "\\": result.write("\\\\")
      case "\n": result.write("\\n")
      case "\r": result.write("\\r")
      case "\t": result.write("\\t")
      default:
        if scalar.value < 0x20 || scalar.value == 0x7f {
          result.write(
            "\\u00" + String(digits[Int(scalar.value >> 4)])
              + String(digits[Int(scalar.value & 15)]))
        } else {
          result.write(String(scalar))
        }
      }
    }
    result.write("\"")
  }
}
