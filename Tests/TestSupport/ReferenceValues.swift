// Values of exact functions to 30 digits, from Tests/Vectors/references.

import Bytes
import Foundation

/// Arguments and values that `tools/development/write-function-values` wrote, each exact to 48 bits.
public struct ReferenceValues: Sendable {
  public let points: [(x: Double, y: Double)]

  /// `name`: gelu, geluTanh, silu or exponential.
  public init(_ name: String) throws {
    let path = Repository.root.appending(path: "Tests/Vectors/references/\(name).npy").path
    let array = try NPY.readFloats(path)
    points = stride(from: 0, to: array.values.count, by: 4).map { start in
      let row = array.values[start..<start + 4].map(Double.init)
      return (row[0] + row[1], row[2] + row[3])
    }
  }

  /// Largest error of `function` on `interval`, and where.
  public func largestError(
    on interval: ClosedRange<Double>, _ function: (Double) -> Double
  ) -> (error: Double, at: Double) {
    var result = (error: 0.0, at: 0.0)
    for (x, y) in points where interval.contains(x) {
      let error = abs(function(x) - y)
      if error > result.error { result = (error, x) }
    }
    return result
  }

  /// Mean error of `function` over the points in `interval`.
  public func meanError(on interval: ClosedRange<Double>, _ function: (Double) -> Double) -> Double
  {
    let errors = points.filter { interval.contains($0.x) }.map { abs(function($0.x) - $0.y) }
    return errors.reduce(0, +) / Double(errors.count)
  }
}
