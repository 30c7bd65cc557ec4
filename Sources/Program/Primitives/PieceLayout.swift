// A piecewise polynomial taken apart into linear functions between knots of x, in real numbers.

import Approximation
import Foundation

/// What one comparison key must give for a `PiecewisePolynomial`: a line over every stretch between
/// knots, and the clipped argument of every curved piece.
struct PieceLayout {
  /// A curved piece: slope * x + intercept on each stretch is its clipped argument less the centre.
  struct Curved {
    var piece: PolynomialPiece
    /// Of the piece's argument.
    var interval: ClosedRange<Double>
    var slopes: [Double]
    var intercepts: [Double]

    var centre: Double { piece.centre }
    var bound: Double { max(interval.upperBound - centre, centre - interval.lowerBound) }

    /// The piece in powers of u within [-1, 1], with `value` for its argument.
    func curved(_ value: FixedValue) -> CurvedPiece {
      let exponent = Int(log2(bound).rounded(.up))
      let factor = pow(2, Double(exponent)) / piece.scale
      return CurvedPiece(
        coefficients: piece.coefficients.prefix(piece.degree + 1).enumerated().map {
          $1 * pow(factor, Double($0))
        }, exponent: exponent, value: value,
        interval: interval.lowerBound - centre...interval.upperBound - centre)
    }
  }

  /// Knots of x, ascending.
  var knots: [Double]
  /// One line a stretch.
  var lines: [(slope: Double, intercept: Double)]
  var curved: [Curved]
  private var domain: ClosedRange<Double>

  init(_ function: PiecewisePolynomial, on domain: ClosedRange<Double>) {
    var function = function
    if function.knots.isEmpty { function = function.signed }
    self.domain = domain
    let reach = max(abs(domain.lowerBound), abs(domain.upperBound))
    let isEven = function.isEven
    let count = function.pieces.count
    // Which piece each stretch of x uses, and the sign of t = |x| there.
    var stretches = (0..<count).map { (piece: $0, sign: 1.0) }
    knots = function.knots
    if isEven {
      stretches = (0..<count).reversed().map { (piece: $0, sign: -1.0) } + stretches
      knots = knots.reversed().map { -$0 } + [0] + knots
    }
    lines = stretches.map { stretch in
      let line = function.pieces[stretch.piece].line ?? (0, 0)
      return (function.slope + stretch.sign * line.slope, line.intercept)
    }
    curved = []
    for (index, piece) in function.pieces.enumerated() where piece.line == nil {
      let low = index > 0 ? function.knots[index - 1] : isEven ? 0 : domain.lowerBound
      let high =
        index < count - 1 ? function.knots[index] : isEven ? reach : domain.upperBound
      guard low < high else { continue }
      let ends = [piece(low), piece(high)]
      var part = Curved(piece: piece, interval: low...high, slopes: [], intercepts: [])
      for (place, stretch) in stretches.enumerated() {
        if stretch.piece == index {
          part.slopes.append(stretch.sign)
          part.intercepts.append(-piece.centre)
        } else {
          let isBelow = stretch.piece < index
          part.slopes.append(0)
          part.intercepts.append((isBelow ? low : high) - piece.centre)
          lines[place].intercept -= ends[isBelow ? 0 : 1]
        }
      }
      curved.append(part)
    }
  }

  /// Bits before the point that `bound` needs, at least 0.
  static func integerBits(_ bound: Double) -> Int {
    max(Int(log2(bound).rounded(.up)), 0)
  }

  /// Stretch `index`, within the domain where it is unbounded.
  private func stretch(_ index: Int) -> (low: Double, high: Double) {
    let low = index > 0 ? knots[index - 1] : min(domain.lowerBound, knots.first ?? 0)
    let high = index < knots.count ? knots[index] : max(domain.upperBound, knots.last ?? 0)
    return (low, high)
  }

  /// Fractional bits that slopes need to be exact, at most `limit`.
  func extraBits(limit: Int) -> Int {
    (0..<max(limit, 1)).first { bits in
      let scale = pow(2, Double(bits))
      return lines.allSatisfy { ($0.slope * scale).rounded() == $0.slope * scale }
    } ?? limit
  }

  /// Lines with slopes of so many fractional bits; intercepts make up for them in the middle.
  func roundedLines(extraBits: Int) -> [(slope: Double, intercept: Double)] {
    let scale = pow(2, Double(extraBits))
    return lines.enumerated().map { index, line in
      let slope = (line.slope * scale).rounded() / scale
      let (low, high) = stretch(index)
      // An unbounded stretch is joined to its knot.
      let pivot = index == 0 ? high : index == knots.count ? low : (low + high) / 2
      return (slope, line.intercept + (line.slope - slope) * pivot)
    }
  }

  /// Largest magnitude of the lines on the domain.
  var lineBound: Double {
    lines.enumerated().reduce(1e-3) { bound, entry in
      let (low, high) = stretch(entry.offset)
      let (slope, intercept) = entry.element
      return max(bound, abs(slope * low + intercept), abs(slope * high + intercept))
    } * 1.01
  }
}
