// A plain matrix of floats: what the float interpreter returns.

import CFloatKernels

/// Row-major values of shape [rowCount, columnCount].
public struct FloatMatrix: Equatable, Sendable {
  public var rowCount: Int
  public var columnCount: Int
  public var values: [Float]

  public init(rowCount: Int, columnCount: Int, values: [Float]) {
    precondition(values.count == rowCount * columnCount, "the shape must describe the values")
    self.rowCount = rowCount
    self.columnCount = columnCount
    self.values = values
  }

  /// All rows but the first `count`.
  public func dropFirst(_ count: Int) -> FloatMatrix {
    FloatMatrix(
      rowCount: rowCount - count, columnCount: columnCount,
      values: Array(values.dropFirst(count * columnCount)))
  }

  /// Whether there is no infinity and no NaN among `values`.
  public static func areFinite(_ values: [Float]) -> Bool {
    unsafe lodge_largest_magnitude(values, values.count) < 0x7f80_0000
  }

  /// Smallest and largest of `values`, which are finite; nil for none.
  public static func range(of values: [Float]) -> ClosedRange<Float>? {
    guard var low = values.first else { return nil }
    var high = low
    unsafe lodge_float_range(values, values.count, &low, &high)
    return low...high
  }

  /// The largest magnitude of `values`, which are finite; 0 for none.
  public static func largestMagnitude(of values: [Float]) -> Float {
    Float(bitPattern: unsafe lodge_largest_magnitude(values, values.count))
  }

  /// The values of row `index`.
  public func row(_ index: Int) -> ArraySlice<Float> {
    values[index * columnCount..<(index + 1) * columnCount]
  }
}
