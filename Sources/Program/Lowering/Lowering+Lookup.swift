// Functions on equal cells: looked up at what is opened of their argument, in one flight.

package import Approximation
import Bytes
import Foundation
import Models
import Rings

/// A function with a polynomial of degree 2 at most on every cell of one width, a power of two, and
/// polynomials like them beyond.
package struct EqualCells {
  package let width: Double
  private let function: PiecewisePolynomial
  /// Fractional bits of the result above those of two factors.
  package let coefficientBits: Int

  /// nil where `function` is another.
  package init?(_ function: PiecewisePolynomial) {
    let function = function.signed
    // Few pieces have shorter comparison keys, whatever their knots.
    guard function.knots.count > 4 else { return nil }
    coefficientBits = 8
    width = function.knots[1] - function.knots[0]
    guard width.significand == 1, function.pieces.allSatisfy({ $0.degree <= 2 }),
      function.pieces.first.map({ $0.degree <= 1 }) ?? false,
      function.pieces.last.map({ $0.degree <= 1 }) ?? false
    else { return nil }
    for (knot, next) in zip(function.knots, function.knots.dropFirst()) {
      guard next - knot == width, (knot / width).rounded() == knot / width else { return nil }
    }
    self.function = function
  }

  /// Two lines that meet at 0, with a parabola in the cell behind it: it serves the one before as
  /// well, and is off by a sixteenth of what the slope changes over a cell, at most `resolution`.
  /// nil where `function` is another.
  package init?(bend function: PiecewisePolynomial, resolution: Double) {
    let function = function.signed
    guard function.knots == [0], function.pieces.allSatisfy({ $0.degree <= 1 }) else { return nil }
    let (left, right) = (
      function.pieces[0].coefficients(about: 0) + [0],
      function.pieces[1].coefficients(about: 0) + [0]
    )
    let change = right[1] - left[1]
    guard left[0] == right[0], change != 0 else { return nil }
    width = pow(2, log2(16 * resolution / abs(change)).rounded(.down))
    let square = change / (2 * width)
    self.function = PiecewisePolynomial(
      knots: [0, width],
      pieces: [
        function.pieces[0],
        PolynomialPiece(
          centre: 0, scale: 1,
          coefficients: [left[0] + change * width / 16, (left[1] + right[1]) / 2, square]),
        function.pieces[1],
      ], resolution: function.resolution)
    // Of powers of two nothing is rounded.
    let isExact =
      left[0] == 0 && [left[1], right[1], change].allSatisfy { $0 == 0 || abs($0) == 1 }
    coefficientBits = isExact ? -square.exponent : 8
  }

  /// Bits that number the cells of values up to `bound` in magnitude, with a cell to spare at each
  /// end and, where lines stand for groups of cells, such a group.
  package func bits(bound: Double) -> Int {
    let needed = Int((max(bound / width, 1)).rounded(.up)) + 1
    for bits in 2... {
      let half = 1 << (bits - 1)
      guard half > needed, cells.lowerBound >= -half, cells.upperBound <= half else { continue }
      guard bits <= PointKeyLayout.bitRange.upperBound else { return bits }
      let first = PointWindow(cells, bits: bits).firstLeft ?? 1 - half
      if first <= -needed { return bits }
    }
    return .max
  }

  /// Numbers of the cells between the outer pieces.
  package var cells: Range<Int> {
    Int((function.knots.first ?? 0) / width)..<Int((function.knots.last ?? 0) / width)
  }

  /// For these cells the coefficients of the powers of x less the cell's lower end.
  package var coefficients: [[Double]] {
    let ofCells = cells.map { index in
      let low = width * Double(index)
      return function.pieces[function.piece(at: low)].coefficients(about: low)
    }
    return (0...2).map { power in ofCells.map { power < $0.count ? $0[power] : 0 } }
  }

  /// Intercept and slope before and behind the cells.
  package var lines: (left: [Double], right: [Double]) {
    func line(_ piece: PolynomialPiece?) -> [Double] {
      let coefficients = piece?.coefficients(about: 0) ?? []
      return (0...1).map { $0 < coefficients.count ? coefficients[$0] : 0 }
    }
    return (line(function.pieces.first), line(function.pieces.last))
  }
}

extension Lowering {
  /// `function` of `x` by a lookup, or nil where it has no equal cells, or `x` lies in too many; of
  /// two lines that meet at 0 where comparisons are to be lookups.
  ///
  /// The result is known modulo 2^`ringBits` above `valueBits` fractional bits, where they are
  /// given, and has at most `room` fractional bits. Where that would leave the argument too few,
  /// the result is shortened, for one more round.
  mutating func lookup(
    _ x: FixedValue, _ function: PiecewisePolynomial, bound: Double, room: Int,
    reader: (ringBits: Int, valueBits: Int)?
  ) throws(InputError) -> FixedValue? {
    let most = min(room, reader.map { 64 - $0.ringBits + $0.valueBits } ?? 64)
    func resultBits(_ bits: Int) -> Int { reader.map { $0.ringBits + bits - $0.valueBits } ?? 64 }
    if comparison == .lookups,
      let bend = EqualCells(bend: function, resolution: resolution(function, x))
    {
      return try lookup(
        x, bend, argumentBits: activationBits(x) - 2, bound: bound, budget: most,
        resultBits: resultBits)
    }
    guard let cells = EqualCells(function) else { return nil }
    if let direct = try lookup(
      x, cells, argumentBits: bits - 2, bound: bound, budget: most, resultBits: resultBits)
    {
      return direct
    }
    let precise = max(2 * bits, activationBits(bound: bound))
    return try lookup(
      x, cells, argumentBits: bits - 2, bound: bound,
      budget: 61 - PieceLayout.integerBits(bound), resultBits: { _ in 64 }
    ).map { (result) throws(InputError) in try builder.rescale(result, to: min(most, precise)) }
  }

  /// Node `index`, the product of `function` of `x` and another value, in the flight of a lookup; nil
  /// where there is none, or the product has more bits than the linear layer can take that adds it to
  /// the narrow stream.
  mutating func lookupProduct(
    _ index: Int, _ x: FixedValue, _ function: PiecewisePolynomial, _ other: ModelValue
  ) throws(InputError) -> FixedValue? {
    let bound = try outputBound(index)
    let valueBits = activationBits(bound: bound)
    guard let cells = EqualCells(function),
      let needed = try streamRing(index, bits: valueBits, bound: bound)
    else { return nil }
    let factor = try plain(other)
    let value = try cut(x)
    guard builder.shape(value.id) == builder.shape(factor.id),
      builder.shape(value.id).width != nil
    else { return nil }
    // What the reader drops of the product is dropped for nothing.
    let most = 64 - needed + valueBits
    for (spared, sparedOfFactor) in Self.sparedBits {
      let argumentBits = min(bits - 2 - spared, value.bits)
      let functionBits = 2 * argumentBits + cells.coefficientBits
      let factorBits = min(activationBits(factor) - sparedOfFactor, factor.bits)
      guard functionBits + factorBits <= most,
        builder.canOpen(
          factor, bits: factorBits, ringBits: factorBits + magnitudeBits(factor.bound) + 2)
      else { continue }
      let before = builder
      let opened = try builder.open(factor, bits: factorBits)
      if case .view = builder.program.values[opened.id].form,
        let product = try lookup(
          value, cells, argumentBits: argumentBits, bound: bound, budget: functionBits,
          factor: opened, resultBits: { needed + $0 + factorBits - valueBits })
      {
        return product
      }
      builder = before
    }
    return nil
  }

  /// Fractional bits of the argument and of the factor that a product lacks which is not shortened
  /// afterwards, in the order of what that costs of its precision.
  private static let sparedBits = [
    (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2),
  ]

  /// The same with `argumentBits` fractional bits of x, or up to two less, and at most `budget` of
  /// the function, modulo 2^`resultBits` of what they are; times an opened factor where there is one.
  private mutating func lookup(
    _ x: FixedValue, _ cells: EqualCells, argumentBits wanted: Int, bound: Double, budget: Int,
    factor: MaskedValue? = nil, resultBits ringBits: (_ fractionalBits: Int) -> Int
  ) throws(InputError) -> FixedValue? {
    let numberBits = cells.bits(bound: x.bound)
    // A square has twice the bits of the argument, and its coefficient some more.
    let argumentBits = min(wanted, (budget - cells.coefficientBits) / 2, x.bits)
    let cellBits = argumentBits + Int(log2(cells.width))
    guard PointKeyLayout.bitRange.contains(numberBits), argumentBits >= wanted - 2, cellBits >= 1,
      builder.canOpen(x, bits: argumentBits, ringBits: numberBits + cellBits)
    else { return nil }
    let resultBits = 2 * argumentBits + cells.coefficientBits
    let opened = try builder.openExactly(
      x, bits: argumentBits, ringBits: numberBits + cellBits)
    func fixed(_ coefficient: Double, of power: Int) -> Int {
      Int((coefficient * pow(2, Double(resultBits - power * argumentBits))).rounded())
    }
    func line(_ coefficients: [Double]) -> Lookup.Line {
      Lookup.Line(
        intercept: fixed(coefficients[0], of: 0), slope: fixed(coefficients[1], of: 1))
    }
    let coefficients = cells.coefficients.enumerated().map { power, values in
      values.map { fixed($0, of: power) }
    }
    let table = Lookup(
      cells: MaskCells(openedBits: numberBits + cellBits, bits: cellBits),
      firstCell: cells.cells.lowerBound, coefficients: coefficients, left: line(cells.lines.left),
      right: line(cells.lines.right), fractionalBits: resultBits,
      resultBits: ringBits(resultBits), factor: factor?.id)
    return try builder.emit(
      .lookup(opened.id, table), bits: resultBits + (factor?.bits ?? 0), bound: bound)
  }
}
