// Typed, strict access to a JSON object: every key is asked for once, leftovers are errors.

/// Reads the members of one JSON object and remembers which were used.
///
///     var reader = try JSONReader(value, source: path, place: "attributes")
///     let width = try reader.integer("width", in: 1...65_536)
///     try reader.finish()  // throws when the object holds a key nobody asked for
public struct JSONReader {
  private var unread: [String: JSON]
  /// Keys that were asked for, whether they were there or not.
  private var known: Set<String> = []
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
  public mutating func optional(_ key: String) -> JSON? {
    known.insert(key)
    return unread.removeValue(forKey: key)
  }

  /// Whether the member `key` is there and was not read yet.
  public mutating func contains(_ key: String) -> Bool {
    known.insert(key)
    return unread[key] != nil
  }

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

  /// The finite numbers of an array.
  public mutating func numbers(_ key: String) throws(InputError) -> [Double] {
    var result: [Double] = []
    for (index, element) in try array(key).enumerated() {
      switch element {
      case .integer(let value): result.append(Double(value))
      case .number(let value): result.append(value)
      default: throw failure("\(key)[\(index)]", "expected a number")
      }
    }
    return result
  }

  /// A number within `range`, or `fallback` where the member is absent.
  public mutating func number(
    _ key: String, default fallback: Double, in range: ClosedRange<Double>
  ) throws(InputError) -> Double {
    guard contains(key) else { return fallback }
    let value = try number(key)
    guard range.contains(value) else {
      throw failure(key, "\(value) is outside \(range.lowerBound)...\(range.upperBound)")
    }
    return value
  }

  /// An integer within `range`, or `fallback` where the member is absent.
  public mutating func integer(
    _ key: String, default fallback: Int, in range: ClosedRange<Int>
  ) throws(InputError) -> Int {
    contains(key) ? try integer(key, in: range) : fallback
  }

  public mutating func object(_ key: String) throws(InputError) -> JSONReader {
    try JSONReader(value(key), source: source, place: path(key))
  }

  /// Throws when the object holds keys that nobody asked for.
  public func finish() throws(InputError) {
    guard let key = unread.keys.sorted().first else { return }
    var error = failure(key, "unknown key")
    if let nearest = nearestName(to: key, among: known.sorted()) {
      error.hint = "did you mean \"\(nearest)\"?"
    }
    throw error
  }
}
