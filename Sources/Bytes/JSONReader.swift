// Typed, strict access to a JSON object: every key is asked for once, leftovers are errors.

/// Reads the members of one JSON object and remembers which were used.
///
///     var reader = try JSONReader(value, source: path, place: "attributes")
///     let width = try reader.integer("width", in: 1...65_536)
///     try reader.finish()  // throws when the object holds a key nobody asked for
public struct JSONReader {
  private var unread: [String: JSON]
  public let source: String
  public let place: String

  public init(_ value: JSON, source: String, place: String = "") throws(InputError) {
    guard case .object(let members) = value else {
      throw InputError(source, place: place, "expected a JSON object")
    }
    self.unread = members
    self.source = source
    self.place = place
  }

  /// The path of `key` below this object, for errors.
  public func path(_ key: String) -> String { place.isEmpty ? key : "\(place).\(key)" }

  public func failure(_ key: String, _ cause: String) -> InputError {
    InputError(source, place: path(key), cause)
  }

  /// The member `key`, or nil where it is absent; JSON null counts as present.
  public mutating func optional(_ key: String) -> JSON? { unread.removeValue(forKey: key) }

  public mutating func value(_ key: String) throws(InputError) -> JSON {
    guard let value = optional(key) else { throw failure(key, "missing key") }
    return value
  }

  public mutating func integer(_ key: String, in range: ClosedRange<Int> = 0...Int.max)
    throws(InputError) -> Int
  {
    guard case .integer(let value) = try value(key) else {
      throw failure(key, "expected an integer")
    }
    guard range.contains(value) else {
      throw failure(
        key, "\(value) is outside \(range.lowerBound)...\(range.upperBound)")
    }
    return value
  }

  public mutating func number(_ key: String) throws(InputError) -> Double {
    switch try value(key) {
    case .integer(let value): return Double(value)
    case .number(let value): return value
    default: throw failure(key, "expected a number")
    }
  }

  public mutating func bool(_ key: String) throws(InputError) -> Bool {
    guard case .bool(let value) = try value(key) else {
      throw failure(key, "expected true or false")
    }
    return value
  }

  public mutating func string(_ key: String) throws(InputError) -> String {
    guard case .string(let value) = try value(key) else { throw failure(key, "expected a string") }
    return value
  }

  public mutating func array(_ key: String) throws(InputError) -> [JSON] {
    guard case .array(let value) = try value(key) else { throw failure(key, "expected an array") }
    return value
  }

  public mutating func integers(_ key: String) throws(InputError) -> [Int] {
    var result: [Int] = []
    for (index, element) in try array(key).enumerated() {
      guard case .integer(let value) = element else {
        throw failure("\(key)[\(index)]", "expected an integer")
      }
      result.append(value)
    }
    return result
  }

  public mutating func object(_ key: String) throws(InputError) -> JSONReader {
    try JSONReader(value(key), source: source, place: path(key))
  }

  /// Throws when the object holds keys that nobody asked for.
  public func finish() throws(InputError) {
    guard let key = unread.keys.sorted().first else { return }
    throw failure(key, "unknown key")
  }
}
