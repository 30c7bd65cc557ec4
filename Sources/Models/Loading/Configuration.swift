// config.json of a checkpoint, read strictly for the keys that matter; each fault is collected.

import Bytes
import Checkpoints

/// Reads single keys; unknown keys are allowed, because libraries write many that change nothing.
///
/// A key with dots, "a.b", is member "b" of the object "a". JSON null counts as absent unless said
/// otherwise, which is how the libraries that write these files read it.
struct Configuration {
  private let value: JSON
  /// What the library that defines the family takes where a key is absent; null is not absent.
  var defaults: [String: JSON] = [:]
  /// What stands before every key, such as "text_config.", and is not said of it.
  var scope = ""
  private(set) var problems = ProblemList()
  /// What settings are taken for that may be read otherwise.
  private(set) var notices: [String] = []
  /// Every key that was asked for, once, in order, with what is read from it.
  private(set) var fields: [FamilyDescription.Field] = []
  /// The output that a head gives, where one is wanted.
  var output: ModelOutput?

  /// Whether metadata of a GGUF file stand for config.json, which have settings of their own.
  let isOfGGUF: Bool

  init(_ value: JSON, source: String, isOfGGUF: Bool = false) throws(InputError) {
    guard case .object = value else { throw InputError(source, "expected a JSON object") }
    self.value = value
    self.isOfGGUF = isOfGGUF
  }

  mutating func fail(_ key: String, _ cause: String) {
    problems.add("\(Checkpoint.configurationFileName) \(scope)\(key): \(cause)")
  }

  /// Says how the setting `key` is taken, which may be read otherwise.
  mutating func tell(_ key: String, _ notice: String) {
    notices.append("\(Checkpoint.configurationFileName) \(scope)\(key): \(notice)")
  }

  /// The value at `key`, which may be null, or the default; nil where there is neither.
  func find(_ key: String) -> JSON? { stated(key) ?? defaults[key] }

  /// The value that config.json has at `key`, which may be null.
  private func stated(_ key: String) -> JSON? {
    var result: JSON? = value
    for part in (scope + key).split(separator: ".") {
      guard case .object(let members)? = result else { return nil }
      result = members[String(part)]
    }
    return result
  }

  /// Reads settings that only heads with `outputs` have: faults count where one of these is wanted.
  mutating func settings<Value>(
    of outputs: ModelOutput..., read: (inout Configuration) -> Value
  ) -> Value {
    let earlier = problems
    let value = read(&self)
    if !outputs.contains(where: { $0 == output }) { problems = earlier }
    return value
  }

  /// Lists `key` among those that are read.
  mutating func mention(_ key: String, _ meaning: String) { note(key, meaning) }

  private mutating func note(_ key: String, _ meaning: String) {
    guard !fields.contains(where: { $0.key == key }) else { return }
    fields.append(FamilyDescription.Field(key: key, meaning: meaning))
  }

  /// Whether `key` is there or has a default, and is not null.
  func has(_ key: String) -> Bool { (find(key) ?? .null) != .null }

  /// Whether config.json itself has `key`, and not null.
  func isStated(_ key: String) -> Bool { (stated(key) ?? .null) != .null }

  /// The first of `keys` that is stated, else that has a default, else of all.
  func present(among keys: [String]) -> String {
    keys.first(where: isStated) ?? keys.first(where: has) ?? keys.first ?? ""
  }

  /// Collects a fault where both keys are stated and differ.
  mutating func requireEqual(_ key: String, _ other: String) {
    guard isStated(key), isStated(other), let value = stated(key), let second = stated(other),
      value != second, value.numberValue == nil || value.numberValue != second.numberValue
    else { return }
    fail(
      key,
      "\(Configuration.shortText(value)) contradicts \(scope)\(other), which is "
        + Configuration.shortText(second))
  }

  /// An integer that must be there, or nil after collecting the fault.
  mutating func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
    note(key, "integer" + (defaults[key].map { ", else \($0.text)" } ?? ""))
    return checkedInteger(key, in: range)
  }

  /// An integer, or `fallback` where it is absent; nil after collecting a fault.
  ///
  /// - Parameter meaning: what `fallback` is, for listings.
  mutating func integer(
    _ key: String, in range: ClosedRange<Int>, fallback: Int?, meaning: String
  ) -> Int? {
    note(key, "integer, else \(defaults[key]?.text ?? meaning)")
    return has(key) ? checkedInteger(key, in: range) : fallback
  }

  private mutating func checkedInteger(_ key: String, in range: ClosedRange<Int>) -> Int? {
    switch find(key) {
    case .integer(let value):
      if range.contains(value) { return value }
      fail(key, "\(value) is outside \(range.lowerBound)...\(range.upperBound)")
    case nil: fail(key, "missing key")
    default: fail(key, "expected an integer")
    }
    return nil
  }

  /// A positive number, or `fallback` where it is absent; nil after collecting the fault.
  ///
  /// - Parameter meaning: what `fallback` is, for listings.
  mutating func positiveNumber(
    _ key: String, fallback: Double? = nil, meaning: String? = nil
  ) -> Double? {
    note(
      key, "positive number" + (fallback.map { ", else \(meaning ?? $0.description)" } ?? ""))
    if let fallback, !has(key) { return fallback }
    let number: Double
    switch find(key) {
    case .integer(let value): number = Double(value)
    case .number(let value): number = value
    case nil:
      fail(key, "missing key")
      return nil
    default:
      fail(key, "expected a number")
      return nil
    }
    guard number > 0 else {
      fail(key, "\(number) is not positive")
      return nil
    }
    return number
  }

  /// A positive number, or nil where there is none, or a fault has been collected.
  mutating func optionalNumber(_ key: String) -> Double? {
    note(key, "positive number, or null")
    return has(key) ? positiveNumber(key) : nil
  }

  /// True or false, or `fallback` where it is absent; nil after collecting a fault.
  mutating func bool(_ key: String, fallback: Bool) -> Bool? {
    note(key, "true or false, else \(fallback)")
    guard has(key), let value = find(key) else { return fallback }
    guard case .bool(let flag) = value else {
      fail(key, "expected true or false")
      return nil
    }
    return flag
  }

  /// What `values` has for the string at `key`; nil after collecting that it has nothing for it.
  ///
  /// - Parameter fallback: what the library that defines the family takes where the key is absent;
  ///   nil where it must be there.
  mutating func choice<Value>(
    _ key: String, among values: KeyValuePairs<String, Value>, fallback: String?
  ) -> Value? {
    guard let fallback = text(key) ?? fallback else {
      fail(key, has(key) ? "expected a string" : "missing key")
      return nil
    }
    require(key, oneOf: values.map { .string($0.key) }, fallback: .string(fallback))
    let value = has(key) ? find(key) : .string(fallback)
    return values.first { .string($0.key) == value }?.value
  }

  /// The activation function that the Hugging Face library knows by the name at `key`; any after
  /// collecting that it is not implemented.
  mutating func activation(_ key: String, fallback: String) -> Activation {
    let known = choice(
      key,
      among: [
        "gelu": .gelu, "gelu_new": .geluTanh, "gelu_pytorch_tanh": .geluTanh,
        "gelu_fast": .geluTanh, "gelu_accurate": .geluTanh, "gelu_python": .gelu, "relu": .relu,
        "silu": .silu, "swish": .silu, "tanh": .tanh,
      ] as KeyValuePairs<String, Activation>, fallback: fallback)
    return known ?? .gelu
  }

  /// The length of a sliding window, or nil where there is none.
  mutating func window(_ key: String = "sliding_window") -> Int? {
    integer(key, in: Limits.positions, fallback: nil, meaning: "the whole text")
  }

  /// For each of `count` layers what `values` has for its string in the array at `key`, or what
  /// `fallback` says; nil after collecting a fault.
  ///
  /// - Parameter meaning: what `fallback` is, for listings.
  mutating func layers<Value>(
    _ key: String, count: Int, among values: KeyValuePairs<String, Value>,
    fallback: (Int) -> Value, meaning: String
  ) -> [Value]? {
    let expected = values.map { JSON.string($0.key).text }.joined(separator: " or ")
    note(key, "\(expected) for each layer, else \(meaning)")
    guard has(key) else { return (0..<count).map(fallback) }
    guard case .array(let elements)? = find(key), elements.count == count else {
      fail(key, "expected an array of \(count) strings")
      return nil
    }
    var result: [Value] = []
    for element in elements {
      guard let entry = values.first(where: { .string($0.key) == element }) else {
        fail(key, "\(Configuration.shortText(element)) is not implemented, only \(expected) is")
        return nil
      }
      result.append(entry.value)
    }
    return result
  }

  /// The strings of the array at `key`; empty where it is no such array.
  func texts(_ key: String) -> [String] {
    guard case .array(let elements)? = find(key) else { return [] }
    return elements.compactMap { if case .string(let text) = $0 { text } else { nil } }
  }

  /// The numbers of the array at `key`; nil after collecting that it is none, or that one is not in
  /// `range`.
  mutating func numbers(_ key: String, in range: ClosedRange<Double>) -> [Double]? {
    note(key, "array of numbers")
    guard case .array(let elements)? = find(key) else {
      fail(key, "expected an array of numbers")
      return nil
    }
    var result: [Double] = []
    for element in elements {
      guard case .number(let number) = element, range.contains(number) else {
        fail(key, "\(Configuration.shortText(element)) is not in \(range)")
        return nil
      }
      result.append(number)
    }
    return result
  }

  /// The string at `key`, or nil.
  func text(_ key: String) -> String? {
    if case .string(let text)? = find(key) { text } else { nil }
  }

  /// Collects a fault and returns true where `key` is one of `values`: known, not implemented, and
  /// what it would take is in `needs`.
  mutating func refuse(_ key: String, _ values: [String], needs: String) -> Bool {
    guard let value = text(key), values.contains(value) else { return false }
    fail(key, "\"\(value)\" is not implemented: \(needs)")
    return true
  }

  /// Collects a fault unless `key` has one of the values in `implemented`.
  ///
  /// - Parameter fallback: what the library that defines the family takes where the key is absent.
  mutating func require(_ key: String, oneOf implemented: [JSON], fallback: JSON) {
    let expected = implemented.map(\.text).joined(separator: " or ")
    note(key, "only \(expected)")
    var value = find(key) ?? fallback
    // In a condition, null is false.
    if value == .null, fallback != true { value = fallback }
    guard !implemented.contains(value) else { return }
    fail(key, "\(Configuration.shortText(value)) is not implemented, only \(expected) is")
  }

  /// Collects a fault where `key` is present and not null.
  mutating func requireAbsent(_ key: String) {
    note(key, "only absent")
    guard let value = find(key), value != .null else { return }
    fail(key, "\(Configuration.shortText(value)) is not implemented")
  }

  /// Collects a fault unless the array at `key`, where it is present, holds nothing but `value`.
  mutating func requireEach(_ key: String, _ value: JSON) {
    note(key, "only \(value.text)")
    guard has(key) else { return }
    guard case .array(let elements)? = find(key) else {
      fail(key, "expected an array")
      return
    }
    if let other = elements.first(where: { $0 != value }) {
      fail(key, "\(Configuration.shortText(other)) is not implemented, only \(value.text) is")
    }
  }

  private static func shortText(_ value: JSON) -> String {
    let text = value.text
    return text.count <= 60 ? text : text.prefix(57) + "..."
  }
}

extension JSON {
  /// Of integers and numbers.
  fileprivate var numberValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }
}
