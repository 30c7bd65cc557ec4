// What an option or positional argument may hold, and how its text is read.

import Bytes

/// The kind of value that an argument takes; it decides the placeholder, the check and the getter.
public enum ValueKind: Equatable, Sendable {
  /// Present or not; takes no value.
  case flag
  /// Any text.
  case string
  /// A path of the file system; not empty.
  case path
  /// A whole number inside the range.
  case integer(ClosedRange<Int>)
  /// A decimal number inside the range.
  case number(ClosedRange<Double>)
  /// Non-negative half-open range `0..<4`; `0...3` is understood as well, and `4`: the first four.
  case integerRange
  /// A time such as `10ms`; kept in seconds.
  case duration
  /// A rate such as `1Gbps`; kept in bits per second.
  case bandwidth
  /// A size such as `2GB`; kept in bytes.
  case byteCount
  /// One of the listed words.
  case choice([String])

  /// The longest duration, a century: milliseconds of it fit all integers that take them.
  private static let longestSeconds = 876_000.0 * 3600

  /// Any integer that is not negative.
  public static let count = ValueKind.integer(0...Int.max)

  var placeholder: String {
    switch self {
    case .flag: ""
    case .string: "TEXT"
    case .path: "FILE"
    case .integer: "N"
    case .number: "X"
    case .integerRange: "N|A..<B"
    case .duration: "TIME"
    case .bandwidth: "RATE"
    case .byteCount: "SIZE"
    case .choice(let words): words.joined(separator: "|")
    }
  }

  /// The value in `text`, or the reason why it is none (to follow the argument's name).
  func value(of text: String) -> Result<ArgumentValue, UsageError> {
    func read(_ value: ArgumentValue?, expected: String) -> Result<ArgumentValue, UsageError> {
      if let value { return .success(value) }
      return .failure(UsageError("\"\(text)\" is not \(expected)"))
    }
    switch self {
    case .flag: return .failure(UsageError("takes no value"))
    case .string: return .success(.string(text))
    case .path: return read(text.isEmpty ? nil : .string(text), expected: "a path")
    case .integer(let range):
      guard let number = Int(text) else { return read(nil, expected: "a whole number") }
      guard range.contains(number) else {
        return read(nil, expected: ValueKind.describe(range))
      }
      return .success(.integer(number))
    case .number(let range):
      guard let number = Double(text), number.isFinite else {
        return read(nil, expected: "a number")
      }
      guard range.contains(number) else {
        return read(nil, expected: "between \(range.lowerBound) and \(range.upperBound)")
      }
      return .success(.number(number))
    case .integerRange:
      return read(
        ValueKind.range(text).map { .range($0) },
        expected: "a range such as 0..<4, or a number of at least 1")
    case .duration:
      guard let seconds = Quantity.duration(text) else {
        return read(nil, expected: "a time such as 10ms or 2s")
      }
      return read(
        seconds <= ValueKind.longestSeconds ? .number(seconds) : nil,
        expected: "at most \(Int(ValueKind.longestSeconds / 3600)) hours")
    case .bandwidth:
      return read(
        Quantity.bandwidth(text).map { .number($0) }, expected: "a rate such as 1Gbps")
    case .byteCount:
      return read(
        Quantity.byteCount(text).map { .integer($0) }, expected: "a size such as 512MB or 2GiB")
    case .choice(let words):
      if words.contains(text) { return .success(.string(text)) }
      return .failure(
        UsageError(
          "\"\(text)\" is not one of \(words.joined(separator: ", "))",
          hint: nearestName(to: text, among: words).map { "did you mean \($0)?" } ?? ""))
    }
  }

  private static func describe(_ range: ClosedRange<Int>) -> String {
    if range.upperBound == Int.max { return "\(range.lowerBound) or more" }
    return "between \(range.lowerBound) and \(range.upperBound)"
  }

  private static func range(_ text: String) -> Range<Int>? {
    func number(_ part: Substring) -> Int? {
      guard !part.isEmpty, part.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
      return Int(part)
    }
    let dots = text.prefix { $0 != "." }
    guard let lower = number(dots) else { return nil }
    let rest = text.dropFirst(dots.count)
    if rest.isEmpty { return lower > 0 ? 0..<lower : nil }
    if rest.hasPrefix("..<"), let upper = number(rest.dropFirst(3)), lower < upper {
      return lower..<upper
    }
    if rest.hasPrefix("..."), let upper = number(rest.dropFirst(3)), lower <= upper,
      upper < Int.max
    {
      return lower..<upper + 1
    }
    return nil
  }
}

/// A checked value of an argument.
enum ArgumentValue: Equatable, Sendable {
  case flag
  case string(String)
  case integer(Int)
  case number(Double)
  case range(Range<Int>)
}
