// Piecewise polynomials: one comparison key for all pieces, then a polynomial of each curved piece.

import Approximation
import Bytes
import Foundation

/// A curved piece's argument as a shared value.
struct CurvedPiece {
  /// The piece about zero in powers of u = value / 2^exponent.
  var coefficients: [Double]
  var exponent: Int
  /// t - centre, with t clipped to the piece.
  var value: FixedValue
  /// Of `value`.
  var interval: ClosedRange<Double>

  var degree: Int { coefficients.count - 1 }
  /// A bound of the polynomial: the sum of its coefficients, as |u| <= 1.
  var reach: Double { coefficients.reduce(0) { $0 + abs($1) } }
  /// `interval` in units of u.
  var unitInterval: ClosedRange<Double> {
    let scale = pow(2, Double(exponent))
    return interval.lowerBound / scale...interval.upperBound / scale
  }
  /// Largest slope in units of u, by 65 points.
  var steepness: Double {
    let range = unitInterval
    return (0...64).reduce(0) { largest, index in
      let u = range.lowerBound + (range.upperBound - range.lowerBound) * Double(index) / 64
      var (slope, power) = (0.0, 1.0)
      for (degree, coefficient) in coefficients.enumerated().dropFirst() {
        slope += coefficient * Double(degree) * power
        power *= u
      }
      return max(largest, abs(slope))
    }
  }
}

/// f(x) = lines + the sum over curved pieces of p(value).
struct LoweredPieces {
  var lines: FixedValue?
  var curved: [CurvedPiece]
}

extension Lowering {
  /// The parts of `function` at `x`, which lies within `domain`, after one round.
  ///
  /// With t clipped to each curved piece its polynomial is constant outside the piece, so that
  /// lines(x), which is linear between all knots, can make up for it: a straight piece's line less
  /// the constants of all curved pieces. Discontinuities cost nothing. Lines have at most
  /// `lineBits` fractional bits, and where `ringBits` are given need to be known modulo 2 to these.
  mutating func pieces(
    _ x: FixedValue, _ function: PiecewisePolynomial, on domain: ClosedRange<Double>,
    lineBits: Int, ringBits: Int? = nil
  ) throws(InputError) -> LoweredPieces {
    let layout = PieceLayout(function, on: domain)
    if layout.knots.isEmpty, let whole = layout.curved.first {
      // A single polynomial needs no comparison.
      let centred = try builder.adding(-whole.centre, to: x)
      return LoweredPieces(lines: nil, curved: [whole.curved(centred)])
    }
    let hasLines = layout.lines.contains { abs($0.slope) > 0 || abs($0.intercept) > 1e-9 }
    let narrow = activationBits(x)
    let argumentBits = min(layout.curved.isEmpty ? narrow : narrow + 4, x.bits)
    let extraBits = layout.extraBits(limit: min(12, max(lineBits - argumentBits, 0)))
    var outputs = layout.curved.map { curved in
      (
        slopes: curved.slopes, intercepts: curved.intercepts, extraBits: 0,
        bound: curved.bound * 1.01
      )
    }
    if hasLines {
      let lines = layout.roundedLines(extraBits: extraBits)
      outputs.append(
        (
          slopes: lines.map(\.slope), intercepts: lines.map(\.intercept), extraBits: extraBits,
          bound: layout.lineBound
        ))
    }
    // What is opened of the argument suffices for lines without more bits, if the reader can do
    // with it: a key has a word less on every level than one for a view.
    var openedBits: Int?
    if let ringBits, layout.curved.isEmpty, extraBits == 0,
      builder.canOpen(x, bits: argumentBits, ringBits: ringBits)
    {
      openedBits = ringBits
    }
    let values = try builder.piecewise(
      x, bits: argumentBits, resolution: resolution(function, x), knots: layout.knots,
      outputs: outputs, isLifted: openedBits == nil, ringBits: openedBits ?? 0)
    return LoweredPieces(
      lines: hasLines ? values.last : nil,
      curved: zip(layout.curved, values).map { $0.curved($1) })
  }

  /// That of the function; where all of `x` is so near to a knot at 0 that this would be seen,
  /// 2^-11 of its bound.
  func resolution(_ function: PiecewisePolynomial, _ x: FixedValue) -> Double {
    let magnitude = magnitudeBits(x.bound)
    guard function.knots == [0], magnitude < 1 else { return function.resolution }
    return min(function.resolution, pow(2, Double(magnitude - 11)))
  }

  /// p(u) in one round, at most `resultBits` fractional bits.
  ///
  /// The argument keeps as many fractional bits as degree and coefficients leave of the ring.
  mutating func polynomial(_ piece: CurvedPiece, resultBits: Int) throws(InputError) -> FixedValue {
    guard let (fit, _) = fixedPoint(piece, resultBits: resultBits) else { return piece.value }
    // value / 2^exponent with argumentBits is value with argumentBits - exponent.
    let argument = try builder.open(piece.value, bits: fit.argumentBits - piece.exponent)
    let coefficients = fit.coefficients.map { UInt64(bitPattern: Int64($0)) }
    return try builder.emit(
      .polynomial(argument.id, coefficients: [coefficients]), bits: fit.resultBits,
      bound: piece.reach * 1.01)
  }

  /// The coefficients of `piece` with at most `resultBits` fractional bits of the result, and the
  /// largest error that they and the rounded argument have.
  func fixedPoint(_ piece: CurvedPiece, resultBits: Int) -> (
    fit: FixedPointPolynomial, error: Double
  )? {
    let resultBits = min(resultBits, 61 - PieceLayout.integerBits(piece.reach * 1.01))
    // More bits for the argument leave fewer for the highest coefficients: take the best of both.
    let leading = max(Int(log2(max(abs(piece.coefficients.last ?? 1), 1)).rounded(.down)), 0)
    let most = max(
      min((resultBits - 2 + leading) / piece.degree, piece.value.bits + piece.exponent), 1)
    // Small results have far smaller coefficients.
    let spread = piece.reach < 0.5 ? 16 : 4
    let fits = (max(most - spread, 1)...most).map { argumentBits in
      let fit = FixedPointPolynomial(
        rounding: piece.coefficients, argumentBits: argumentBits, resultBits: resultBits,
        on: piece.unitInterval)
      // A value that is not shortened is not rounded.
      let isExact = argumentBits - piece.exponent >= piece.value.bits
      return (
        fit: fit,
        error: fit.maximumError
          + (isExact ? 0 : piece.steepness * pow(2, Double(-argumentBits - 1)))
      )
    }
    return fits.min { $0.error < $1.error }
  }

  /// p(u) = A(u) + u^s B(u), s half the degree, in two rounds with twice the usual bits.
  ///
  /// Both halves have half the degree, which leaves u more fractional bits: 14 or more for degree
  /// 6, where the whole polynomial in one round would leave it 9. The product takes the round that
  /// truncates A.
  mutating func splitPolynomial(_ piece: CurvedPiece) throws(InputError) -> FixedValue {
    let split = piece.degree / 2
    let halves = [
      Array(piece.coefficients[..<split]), Array(piece.coefficients[split...]),
      [Double](repeating: 0, count: split) + [1],
    ]
    let reaches = halves.map { half in half.reduce(0) { $0 + abs($1) } }
    let resultBits = reaches.map { 61 - PieceLayout.integerBits($0) }
    // More bits for the argument leave fewer for the highest coefficients: take the best of both.
    let most = max(
      min((resultBits.min() ?? 0) / (piece.degree - split), piece.value.bits + piece.exponent), 1)
    let fits = (max(most - 6, 1)...most).map { argumentBits in
      zip(halves, resultBits).map { half, bits in
        FixedPointPolynomial(
          rounding: half, argumentBits: argumentBits, resultBits: bits, on: piece.unitInterval)
      }
    }
    func error(_ fit: [FixedPointPolynomial]) -> Double {
      fit[0].maximumError + fit[1].maximumError + fit[2].maximumError * reaches[1]
        + piece.steepness * pow(2, Double(-fit[0].argumentBits - 1))
    }
    guard let fit = fits.min(by: { error($0) < error($1) }) else { return piece.value }
    let view = try builder.open(piece.value, bits: fit[0].argumentBits - piece.exponent)
    let coefficients = fit.map { $0.coefficients.map { UInt64(bitPattern: Int64($0)) } }
    let parts = zip(
      try builder.emit(.polynomial(view.id, coefficients: coefficients), bits: resultBits),
      zip(resultBits, reaches)
    ).map { FixedValue(id: $0, bits: $1.0, bound: $1.1) }
    let product = try builder.emit(
      .multiply(builder.open(parts[1], bits: bits).id, builder.open(parts[2], bits: bits).id),
      bits: 2 * bits, bound: reaches[1])
    return try builder.add(
      builder.rescale(parts[0], to: 2 * bits), product, bound: piece.reach * 1.01)
  }
}
