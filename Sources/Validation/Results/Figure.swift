// Figures of reports as text and as JSON.

import Bytes
import Foundation

/// How reports print numbers.
enum Figure {
  /// Four significant digits: `29.22`, `0.0006944`, `3.4e-07`; "none" for what is not a number.
  static func text(_ value: Double) -> String {
    guard value.isFinite else { return "none" }
    if value == 0 { return "0" }
    let size = abs(value)
    if size >= 1e6 || size < 1e-4 { return String(format: "%.2e", value) }
    let digits = min(max(3 - Int(log10(size).rounded(.down)), 0), 9)
    return Quantity.decimal(value, fractionDigits: digits)
  }

  /// A share as percentage: `99.98 %`.
  static func percent(_ share: Double) -> String {
    share.isFinite ? "\(Quantity.decimal(100 * share, fractionDigits: 2)) %" : "none"
  }
}

extension JSON {
  /// The number, or null where it is not finite.
  static func figure(_ value: Double) -> JSON { value.isFinite ? .number(value) : .null }

  static func figure(_ value: Double?) -> JSON { value.map { .figure($0) } ?? .null }

  static func range(_ range: ClosedRange<Double>?) -> JSON {
    range.map { [.figure($0.lowerBound), .figure($0.upperBound)] } ?? .null
  }
}
