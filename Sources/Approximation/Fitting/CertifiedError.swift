// Errors of polynomials against smooth functions that hold between the points of a grid as well.

/// Bounds of |p - f| on intervals.
enum CertifiedError {
  /// An upper bound of |piece - function| on `interval`, where |function''| <= `curvature`.
  ///
  /// For e = p - f and neighbouring grid points at a distance h, |e| <= max(|e| at both) + h^2/8
  /// max|e''|, and |e''| is at most |p''| + |f''|. Rounding in double precision adds less than
  /// 1e-12.
  static func bound(
    _ piece: PolynomialPiece, on interval: ClosedRange<Double>, curvature: Double,
    _ function: (Double) -> Double
  ) -> Double {
    let count = 512
    let (low, high) = (interval.lowerBound, interval.upperBound)
    let step = (high - low) / Double(count)
    var largest = 0.0
    for index in 0...count {
      let x = index == count ? high : low + step * Double(index)
      largest = max(largest, abs(piece(x) - function(x)))
    }
    let reach = max(abs(high - piece.centre), abs(low - piece.centre))
    return largest + step * step / 8 * (curvature + piece.curvatureBound(reach: reach)) + 1e-12
  }

  /// The bound for every piece of `function`, each going on by the resolution below its knot, where
  /// a secure evaluation may take it already; pieces that see |x| also above, for negative x.
  ///
  /// The first piece is bounded from `start`, the last up to `end`; beyond, the caller knows more.
  static func bound(
    _ function: PiecewisePolynomial, from start: Double, to end: Double,
    curvature: (ClosedRange<Double>) -> Double, _ exact: (Double) -> Double
  ) -> Double {
    var largest = 0.0
    for (index, piece) in function.pieces.enumerated() {
      let low = max(index == 0 ? start : function.knots[index - 1] - function.resolution, start)
      let beyond = function.isEven ? function.resolution : 0
      let high = index == function.knots.count ? end : min(function.knots[index] + beyond, end)
      guard low < high else { continue }
      largest = max(
        largest, bound(piece, on: low...high, curvature: curvature(low...high), exact))
    }
    return largest
  }

  /// `function` with the coarsest resolution of at most 2^-3 for which `error` stays within
  /// `limit`, with that error, or nil where not even 2^-12 does.
  static func coarsest(
    _ function: PiecewisePolynomial, limit: Double, _ error: (PiecewisePolynomial) -> Double
  ) -> (function: PiecewisePolynomial, error: Double)? {
    var result = function
    result.resolution = 0x1p-3
    while result.resolution >= 0x1p-12 {
      let found = error(result)
      if found <= limit { return (result, found) }
      result.resolution /= 2
    }
    return nil
  }
}
