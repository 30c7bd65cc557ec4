// Piecewise linear minimax fits of convex decreasing functions, such as 1/x and 1/sqrt(x).

import Foundation

/// Lines on consecutive pieces; piece k holds knots[k-1] <= x < knots[k].
public struct PiecewiseLinearFit: Equatable, Sendable {
  public var knots: [Double]
  public var slopes: [Double]
  public var intercepts: [Double]
  /// Largest |fit - function| / |function| on the fitted range.
  public var maximumRelativeError: Double

  /// The fit at `x`; beyond the fitted range the outermost lines go on.
  public func callAsFunction(_ x: Double) -> Double {
    let piece = knots.firstIndex { x < $0 } ?? knots.count
    return slopes[piece] * x + intercepts[piece]
  }

  /// Lines over pieces of equal ratio, as few as keep the relative error within `tolerance`.
  ///
  /// On each piece the chord of a convex function is lowered by half its largest distance, which
  /// is the minimax line. `function` must be positive, convex and decreasing on `range`.
  public static func fit(
    on range: ClosedRange<Double>, tolerance: Double, _ function: (Double) -> Double
  ) -> PiecewiseLinearFit {
    precondition(range.lowerBound > 0 && tolerance > 0)
    let octaves = log2(range.upperBound / range.lowerBound)
    // A table has at least one knot.
    var count = max(2, Int(octaves.rounded(.up)))
    while true {
      let fit = fit(on: range, pieceCount: count, function)
      if fit.maximumRelativeError <= tolerance || count > 8192 { return fit }
      // The error falls with the square of the piece size.
      let factor = (fit.maximumRelativeError / tolerance).squareRoot()
      count = max(count + 1, Int((Double(count) * min(factor, 4)).rounded(.up)))
    }
  }

  private static func fit(
    on range: ClosedRange<Double>, pieceCount: Int, _ function: (Double) -> Double
  ) -> PiecewiseLinearFit {
    let ratio = range.upperBound / range.lowerBound
    let borders = (0...pieceCount).map {
      range.lowerBound * pow(ratio, Double($0) / Double(pieceCount))
    }
    var result = PiecewiseLinearFit(
      knots: Array(borders.dropFirst().dropLast()), slopes: [], intercepts: [],
      maximumRelativeError: 0)
    for (low, high) in zip(borders, borders.dropFirst()) {
      let slope = (function(high) - function(low)) / (high - low)
      let samples = (0...32).map { low + (high - low) * Double($0) / 32 }
      let chord = function(low) - slope * low
      let sag = samples.reduce(0) { max($0, slope * $1 + chord - function($1)) }
      let intercept = chord - sag / 2
      for x in samples {
        let error = abs(slope * x + intercept - function(x)) / function(x)
        result.maximumRelativeError = max(result.maximumRelativeError, error)
      }
      result.slopes.append(slope)
      result.intercepts.append(intercept)
    }
    return result
  }
}
