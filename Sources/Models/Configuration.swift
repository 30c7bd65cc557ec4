// config.json of a checkpoint, read strictly for the keys that matter; each fault is collected.

import Bytes
import Checkpoints

/// Reads single keys; unknown keys are allowed, because libraries write many that change nothing.
struct Configuration {
  private var reader: JSONReader
  private(set) var problems = ProblemList()

  init(_ value: JSON, source: String) throws(InputError) {
    reader = try JSONReader(value, source: source)
  }

  private mutating func collect(_ error: InputError) {
    problems.add("\(Checkpoint.configurationFileName) \(error.place): \(error.cause)")
  }

  mutating func fail(_ key: String, _ cause: String) {
    problems.add("\(Checkpoint.configurationFileName) \(key): \(cause)")
  }

  /// An integer that must be there, or nil after collecting the fault.
  mutating func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
    do throws(InputError) {
      return try reader.integer(key, in: range)
    } catch {
      collect(error)
      return nil
    }
  }

  /// A positive number that must be there, or nil after collecting the fault.
  mutating func positiveNumber(_ key: String) -> Double? {
    do throws(InputError) {
      let value = try reader.number(key)
      guard value > 0 else { throw reader.failure(key, "\(value) is not positive") }
      return value
    } catch {
      collect(error)
      return nil
    }
  }

  /// Collects a fault unless `key` has one of the values in `implemented`.
  ///
  /// - Parameter fallback: what the library that defines the family takes where the key is absent.
  mutating func require(_ key: String, oneOf implemented: [JSON], fallback: JSON?) {
    guard let value = reader.optional(key) ?? fallback else {
      fail(key, "missing key")
      return
    }
    guard !implemented.contains(value) else { return }
    let expected = implemented.map(\.text).joined(separator: " or ")
    fail(key, "\(Configuration.shortText(value)) is not implemented, only \(expected) is")
  }

  /// Collects a fault where `key` is present and not null.
  mutating func requireAbsent(_ key: String) {
    guard let value = reader.optional(key), value != .null else { return }
    fail(key, "\(Configuration.shortText(value)) is not implemented")
  }

  private static func shortText(_ value: JSON) -> String {
    let text = value.text
    return text.count <= 60 ? text : text.prefix(57) + "..."
  }
}
