// Metadata keys of one architecture, each asked for once; the rest must be known to mean nothing.

import Bytes

/// The keys "<architecture>.*" of a file; faults are collected.
struct GGUFMetadata {
  private let path: String
  private let prefix: String
  private var unread: [String: GGUFValue] = [:]
  private let offsets: [String: Int]
  private var problems = ProblemList()

  init(_ file: GGUF, architecture: String) {
    path = file.path
    offsets = file.keyOffsets
    prefix = "\(architecture)."
    for (key, value) in file.metadata where key.hasPrefix(prefix) {
      unread[String(key.dropFirst(prefix.count))] = value
    }
  }

  private func offset(_ key: String) -> Int { offsets[prefix + key] ?? GGUF.metadataOffset }

  private mutating func refuse(_ key: String, _ cause: String) {
    problems.add("\(prefix)\(key)", ": byte \(offset(key)): \(cause)")
  }

  func optionalInteger(_ key: String, in range: ClosedRange<Int>) throws(InputError) -> Int? {
    guard let value = unread[key] else { return nil }
    guard case .integer(let integer) = value, range.contains(integer) else {
      throw InputError(
        path, place: prefix + key, offset: offset(key),
        "expected an integer in \(range.lowerBound)...\(range.upperBound)")
    }
    return integer
  }

  func integer(_ key: String, in range: ClosedRange<Int>) throws(InputError) -> Int {
    guard let value = try optionalInteger(key, in: range) else {
      throw InputError(path, place: prefix + key, offset: offset(key), "the key is missing")
    }
    return value
  }

  /// The value of `key` as JSON, which then counts as read; nil where it is absent.
  mutating func take(_ key: String) -> JSON? {
    guard let value = unread.removeValue(forKey: key) else { return nil }
    switch value {
    case .integer(let integer): return .integer(integer)
    case .real(let real): return .number(real)
    case .bool(let bool): return .bool(bool)
    case .text(let text): return .string(text)
    case .array:
      refuse(key, "an array is not implemented")
      return nil
    }
  }

  /// Puts the value of `key` into `members`; where there is neither it nor a fallback is a fault.
  mutating func move(
    _ key: String, to name: String, of members: inout [String: JSON], fallback: JSON? = nil
  ) {
    let isPresent = unread[key] != nil
    if let value = take(key) ?? fallback {
      members[name] = value
    } else if !isPresent {
      problems.add("\(prefix)\(key)", " is missing")
    }
  }

  /// Collects a fault where `key` is there with a value that is not among `values`.
  mutating func require(_ key: String, oneOf values: [JSON?]) {
    guard let value = take(key), !values.contains(value) else { return }
    refuse(key, "\(value.text) is not implemented")
  }

  /// Counts `key` as read: its value changes nothing.
  mutating func drop(_ key: String) { unread[key] = nil }

  /// - Throws: one `InputError` with all faults, and with every key that nobody asked for.
  mutating func finish() throws(InputError) {
    for key in unread.keys.sorted() { refuse(key, "the key is not understood") }
    try problems.check(source: path)
  }
}
