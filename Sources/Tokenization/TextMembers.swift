// Strict access to one object of a tokenizer's file: what is not known is refused.

import Bytes

/// The members of one object. Everything that the tokenizer does not do exactly, an unknown key
/// included, throws an error that `Tokenizer.refuses` knows.
struct TextMembers {
  private var unread: [(key: String, value: TextValue)]
  let source: String
  let place: String

  init(_ value: TextValue, source: String, place: String) throws(InputError) {
    guard case .members(let members) = value else {
      throw InputError(source, place: place, "expected a JSON object")
    }
    unread = members
    self.source = source
    self.place = place
  }

  func path(_ key: String) -> String { place.isEmpty ? key : "\(place).\(key)" }

  func failure(_ key: String, _ cause: String) -> InputError {
    InputError(source, place: path(key), cause)
  }

  /// An error for what is right but not done here.
  func refusal(_ key: String, _ cause: String) -> InputError {
    InputError(source, place: path(key), cause, hint: Tokenizer.refusalHint)
  }

  /// The member `key`; nil where it is absent or null.
  mutating func optional(_ key: String) throws(InputError) -> TextValue? {
    guard let index = unread.firstIndex(where: { $0.key == key }) else { return nil }
    let value = unread.remove(at: index).value
    guard !unread.contains(where: { $0.key == key }) else {
      throw failure(key, "stands there twice")
    }
    if case .null = value { return nil }
    return value
  }

  mutating func value(_ key: String) throws(InputError) -> TextValue {
    guard let value = try optional(key) else { throw failure(key, "is missing") }
    return value
  }

  mutating func optionalText(_ key: String) throws(InputError) -> String? {
    guard let value = try optional(key) else { return nil }
    guard case .text(let text) = value else { throw failure(key, "expected a string") }
    return text
  }

  mutating func text(_ key: String) throws(InputError) -> String {
    guard let text = try optionalText(key) else { throw failure(key, "is missing") }
    return text
  }

  mutating func bool(_ key: String, default fallback: Bool? = nil) throws(InputError) -> Bool {
    guard let value = try optional(key) else {
      guard let fallback else { throw failure(key, "is missing") }
      return fallback
    }
    guard case .bool(let bool) = value else { throw failure(key, "expected true or false") }
    return bool
  }

  mutating func integer(_ key: String, in range: ClosedRange<Int>) throws(InputError) -> Int {
    guard case .integer(let integer) = try value(key) else {
      throw failure(key, "expected an integer")
    }
    guard range.contains(integer) else {
      throw failure(key, "\(integer) is outside \(range.lowerBound)...\(range.upperBound)")
    }
    return integer
  }

  mutating func list(_ key: String) throws(InputError) -> [TextValue] {
    guard let value = try optional(key) else { return [] }
    guard case .list(let list) = value else { throw failure(key, "expected an array") }
    return list
  }

  mutating func object(_ key: String) throws(InputError) -> TextMembers? {
    guard let value = try optional(key) else { return nil }
    return try TextMembers(value, source: source, place: path(key))
  }

  /// The objects of an array.
  mutating func objects(_ key: String) throws(InputError) -> [TextMembers] {
    var result: [TextMembers] = []
    for (index, element) in try list(key).enumerated() {
      result.append(try TextMembers(element, source: source, place: "\(path(key))[\(index)]"))
    }
    return result
  }

  /// Key and value of each member that nobody asked for, in the file's order.
  var rest: [(key: String, value: TextValue)] { unread }

  /// Refuses members that nobody asked for: they may change what the file means.
  func finish() throws(InputError) {
    guard let key = unread.first?.key else { return }
    throw refusal(key, "is not known")
  }
}
