// Quantities with units as people write them: durations, bandwidths and byte counts.

/// Reads and prints durations (seconds), bandwidths (bits per second) and byte counts.
///
/// Prefixes are decimal (1 MB = 1,000,000 bytes) except the explicit binary ones (KiB, MiB, GiB).
public enum Quantity {
  private static let durationUnits: [(String, Double)] = [
    ("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1), ("min", 60), ("h", 3600),
  ]
  private static let bandwidthUnits: [(String, Double)] = [
    ("bps", 1), ("kbps", 1e3), ("Mbps", 1e6), ("Gbps", 1e9), ("Tbps", 1e12),
  ]
  private static let byteUnits: [(String, Double)] = [
    ("B", 1), ("kB", 1e3), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12),
    ("KiB", 1024), ("MiB", 1_048_576), ("GiB", 1_073_741_824), ("TiB", 1_099_511_627_776),
  ]

  /// Seconds in `text`, such as `10ms`, `1.5s` or `2min`; nil when it is not a duration.
  public static func duration(_ text: String) -> Double? { value(text, units: durationUnits) }

  /// Bits per second in `text`, such as `1Gbps`; nil when it is not a bandwidth.
  public static func bandwidth(_ text: String) -> Double? {
    value(text, units: bandwidthUnits).flatMap { $0 > 0 ? $0 : nil }
  }

  /// Bytes in `text`, such as `2GB` or `512MiB`, rounded to whole bytes; nil when it is no count.
  public static func byteCount(_ text: String) -> Int? {
    value(text, units: byteUnits).flatMap { Int(exactly: $0.rounded()) }
  }

  private static func value(_ text: String, units: [(String, Double)]) -> Double? {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text.dropFirst(digits.count).drop { $0 == " " }
    guard let number = Double(digits), number.isFinite,
      let factor = units.first(where: { $0.0 == unit })?.1
    else { return nil }
    return number * factor
  }

  /// "1 text", "0 texts", "5,329,408 texts": `number` and what there is of it, `plural` where it is
  /// not the singular with an s.
  public static func count(_ number: Int, _ singular: String, _ plural: String? = nil) -> String {
    "\(grouped(number)) \(number == 1 ? singular : plural ?? singular + "s")"
  }

  /// 5329408 as "5,329,408".
  public static func grouped(_ number: Int) -> String {
    var digits = Array(String(number.magnitude))
    for position in stride(from: digits.count - 3, to: 0, by: -3) {
      digits.insert(",", at: position)
    }
    return (number < 0 ? "-" : "") + String(digits)
  }

  /// `seconds` in the unit that fits: `850 us`, `12.3 ms`, `4.20 s`, `3 min 05 s`, `2 h 07 min`.
  public static func text(seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0 else { return "unknown" }
    if seconds < 0.999_5e-3 { return "\(Int((seconds * 1e6).rounded())) us" }
    if seconds < 0.999_5 { return "\(threeDigits(seconds * 1e3)) ms" }
    if seconds < 59.95 { return "\(threeDigits(seconds)) s" }
    let whole = seconds < 1e15 ? Int(seconds.rounded()) : Int(1e15)
    if whole < 3600 { return "\(whole / 60) min \(twoDigits(whole % 60)) s" }
    return "\(whole / 3600) h \(twoDigits(whole / 60 % 60)) min"
  }

  /// `byteCount` with a decimal prefix and three digits: `999 B`, `1.50 MB`.
  public static func text(byteCount: Int) -> String {
    prefixed(Double(byteCount), ["B", "kB", "MB", "GB", "TB", "PB"])
  }

  /// `bitsPerSecond` with a decimal prefix and three digits: `1.00 Gbps`.
  public static func text(bitsPerSecond: Double) -> String {
    prefixed(bitsPerSecond, ["bps", "kbps", "Mbps", "Gbps", "Tbps"])
  }

  /// `bytesPerSecond` with a decimal prefix and three digits: `85.0 MB/s`.
  public static func text(bytesPerSecond: Double) -> String {
    prefixed(bytesPerSecond, ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"])
  }

  /// `value` rounded to `fractionDigits` digits after the decimal point, all of them printed.
  public static func decimal(_ value: Double, fractionDigits: Int) -> String {
    precondition((0...9).contains(fractionDigits), "between 0 and 9 fraction digits")
    var scale = 1.0
    for _ in 0..<fractionDigits { scale *= 10 }
    let scaled = (value.magnitude * scale).rounded()
    guard scaled.isFinite, scaled < 9e18 else { return value.description }
    let sign = value < 0 && scaled > 0 ? "-" : ""
    let integer = Int(scaled)
    if fractionDigits == 0 { return sign + String(integer) }
    let fraction = String(integer % Int(scale))
    let zeros = String(repeating: "0", count: fractionDigits - fraction.count)
    return "\(sign)\(integer / Int(scale)).\(zeros)\(fraction)"
  }

  /// Three significant digits of a value in 1 ..< 1000.
  private static func threeDigits(_ value: Double) -> String {
    decimal(value, fractionDigits: value < 9.995 ? 2 : value < 99.95 ? 1 : 0)
  }

  private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }

  private static func prefixed(_ value: Double, _ units: [String]) -> String {
    guard value.isFinite else { return "unknown" }
    var rest = value
    var index = 0
    while rest.magnitude >= (index == 0 ? 1000 : 999.5), index + 1 < units.count {
      rest /= 1000
      index += 1
    }
    if index == 0 { return "\(decimal(rest, fractionDigits: 0)) \(units[0])" }
    return "\(threeDigits(rest)) \(units[index])"
  }
}
