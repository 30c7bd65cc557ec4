// How an opened word becomes a view, and what a view is worth; shared by all interpreters.

internal import Rings

/// Public parts of a view: y = base - t + lift * h (see `Operation.view`).
public struct ViewParts: Sendable {
  public var base: [UInt64]
  public var lift: [UInt64]

  /// The parts of X = x + r modulo 2^bits shifted right by `shift` bits, |x| < 2^(bits-2).
  ///
  /// c = X + 2^(bits-2); base = (c >> shift) - (2^(bits-2) >> shift); lift = (1 - (c >> (bits-1)))
  /// << (bits - shift).
  public init(opened: [UInt64], shift: Int, bits: Int) {
    (base, lift) = WordArrays.best.view(opened, shift: shift, bits: bits)
  }

  /// The same of one word.
  @inlinable
  public static func of(_ opened: UInt64, shift: Int, bits: Int) -> (base: UInt64, lift: UInt64) {
    let offset: UInt64 = 1 &<< UInt64(bits - 2)
    let shifted = (opened &+ offset) & (UInt64.max &>> UInt64(64 - bits))
    return (
      (shifted &>> UInt64(shift)) &- (offset &>> UInt64(shift)),
      (1 &- (shifted &>> UInt64(bits - 1))) &<< UInt64(bits - shift)
    )
  }
}

extension PiecewiseLinear {
  /// Steps of the slope and the intercept of output `output` where x falls below each knot.
  public func steps(_ output: Int) -> [(slope: UInt64, intercept: UInt64)] {
    let function = outputs[output]
    return knots.indices.map { piece in
      (
        UInt64(bitPattern: Int64(function.slopes[piece] &- function.slopes[piece + 1])),
        UInt64(bitPattern: Int64(function.intercepts[piece] &- function.intercepts[piece + 1]))
      )
    }
  }

  /// The last piece of output `output`, which the steps are added to.
  public func lastPiece(_ output: Int) -> (slope: UInt64, intercept: UInt64) {
    let function = outputs[output]
    return (
      UInt64(bitPattern: Int64(function.slopes[knots.count])),
      UInt64(bitPattern: Int64(function.intercepts[knots.count]))
    )
  }
}
