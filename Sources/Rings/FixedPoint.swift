// Real numbers as ring elements: round(x 2^f) as a signed 64-bit integer, read mod 2^64.

// Links libm, which rounding calls.
internal import Glibc

/// Encoding and decoding of fixed-point ring elements.
public enum FixedPoint {
  /// Encoded magnitudes stay below this, so that a truncation of the sum of two is still exact.
  public static let magnitudeLimit = 0x1p62

  /// x 2^`fractionalBits` rounded to the nearest integer, ties to even; nil where |x| 2^f >= 2^62
  /// or x is not finite.
  public static func encode(_ x: Double, fractionalBits: Int) -> Int64? {
    encode(x, scale: scale(fractionalBits))
  }

  /// The value of a ring element with `fractionalBits` fraction bits, rounded to a double.
  public static func decode(_ x: UInt64, fractionalBits: Int) -> Double {
    Double(Int64(bitPattern: x)) / scale(fractionalBits)
  }

  /// Encodes every element; nil where one cannot be represented.
  public static func encode(_ values: [Double], fractionalBits: Int) -> [UInt64]? {
    let scale = scale(fractionalBits)
    var result: [UInt64] = []
    result.reserveCapacity(values.count)
    for value in values {
      guard let element = encode(value, scale: scale) else { return nil }
      result.append(UInt64(bitPattern: element))
    }
    return result
  }

  /// Encodes every element; nil where one cannot be represented.
  public static func encode(_ values: [Float], fractionalBits: Int) -> [UInt64]? {
    let scale = scale(fractionalBits)
    var result: [UInt64] = []
    result.reserveCapacity(values.count)
    for value in values {
      guard let element = encode(Double(value), scale: scale) else { return nil }
      result.append(UInt64(bitPattern: element))
    }
    return result
  }

  /// Encodes `values` into the equally long `elements`; returns the index of the first value that
  /// cannot be represented (it and those after it are not written), or nil when all were.
  public static func encode(
    _ values: Span<Float>, fractionalBits: Int, into elements: inout MutableSpan<UInt64>
  ) -> Int? {
    precondition(values.count == elements.count, "one element a value")
    let scale = scale(fractionalBits)
    for index in values.indices {
      guard let element = encode(Double(values[index]), scale: scale) else { return index }
      elements[index] = UInt64(bitPattern: element)
    }
    return nil
  }

  /// Decodes every element.
  public static func decode(_ elements: [UInt64], fractionalBits: Int) -> [Double] {
    let scale = scale(fractionalBits)
    return elements.map { Double(Int64(bitPattern: $0)) / scale }
  }

  /// Decodes every element of a span.
  public static func decode(_ elements: Span<UInt64>, fractionalBits: Int) -> [Double] {
    let scale = scale(fractionalBits)
    return elements.indices.map { Double(Int64(bitPattern: elements[$0])) / scale }
  }

  private static func scale(_ fractionalBits: Int) -> Double {
    precondition((0..<63).contains(fractionalBits), "0 to 62 fraction bits")
    return Double(UInt64(1) << UInt64(fractionalBits))
  }

  private static func encode(_ x: Double, scale: Double) -> Int64? {
    // Scaling by a power of two is exact here: what would overflow is out of range anyway.
    let scaled = x * scale
    guard abs(scaled) < magnitudeLimit else { return nil }
    return Int64(scaled.rounded(.toNearestOrEven))
  }
}
