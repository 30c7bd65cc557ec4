// Weights of attention scores by any softmax form.

import Approximation
import Bytes
import Foundation
import Models

extension Lowering {
  /// The largest score of each head and row, by a tree of max(a, b) = b + max(a - b, 0).
  ///
  /// It may miss the true maximum by `scoreResolution` a level, which softmax divides out. Scores less
  /// their maximum are known no further than what is compared: as far as `reach` at least, for what
  /// reads them may compare them with more than there are.
  mutating func maximum(of scores: FixedValue, keyCount: Int, reach: Double) throws(InputError)
    -> FixedValue
  {
    var level = scores
    var width = keyCount
    let differenceBound = max(2 * scores.bound, min(reach, pow(2, Double(60 - scores.bits))))
    while width > 1 {
      let difference = try builder.emit(
        .pairDifference(level.id), bits: level.bits, bound: differenceBound)
      let positive = try builder.piecewise(
        difference, bits: difference.bits, resolution: ReplacementSite.scoreResolution, knots: [0],
        outputs: [(slopes: [0, 1], intercepts: [0, 0], extraBits: 0, bound: difference.bound)],
        isLifted: false)[0]
      level = try builder.emit(
        .pairMerge(level.id, positive.id), bits: level.bits, bound: scores.bound)
      width = (width + 1) / 2
    }
    // One key a head is left: the sum over the keys is that key.
    guard case .keys(let heads, _, _) = builder.shape(level.id).columns else { return level }
    return try builder.emit(.sum(level.id, runs: heads), bits: level.bits, bound: scores.bound)
  }

  /// kernel(x)^(2^squarings) for x within `domain`; without squarings it has `room` fractional bits
  /// at most, and `preferredRoom`, which is not more, unless that would cost precision.
  mutating func weights(
    _ x: FixedValue, _ form: SoftmaxForm, on domain: ClosedRange<Double>, keyCount: Int, room: Int,
    preferredRoom: Int
  ) throws(InputError) -> FixedValue {
    let base = form.bound(on: domain)
    var power: FixedValue
    switch form.kernel {
    case .scaled(let function): power = try scaledPieces(x, function, keyCount: keyCount)
    case .exponential:
      throw InputError("lowering", place: builder.label, "exp of scores has a lowering of its own")
    case .piecewise(let function):
      power = try kernel(
        x, function, on: domain, bound: base.kernel,
        sumRoom: sumRoom(base.kernel, keyCount: keyCount),
        rooms: form.squarings == 0 ? [preferredRoom, room] : nil,
        argumentBits: form.subtractsMaximum ? 12 : 8)
    }
    // Weights of trained forms are small against the largest: they keep all bits that they can.
    let squareBits =
      form.subtractsMaximum ? bits : sumRoom(base.weight, keyCount: keyCount) / 2
    for step in 0..<form.squarings {
      let view = try builder.open(power, bits: squareBits)
      power = try builder.emit(
        .polynomial(view.id, coefficients: [[0, 0, 1]]), bits: 2 * view.bits,
        bound: max(pow(base.kernel, pow(2, Double(step + 1))), base.weight) * 1.1)
    }
    return power
  }

  /// A piecewise kernel, bounded by `bound` on the domain; `rooms` is nil where squarings follow.
  ///
  /// Few bits save a truncation: the result has no more than the first of `rooms`, ascending, with
  /// which arguments keep `argumentBits` nevertheless.
  private mutating func kernel(
    _ x: FixedValue, _ function: PiecewisePolynomial, on domain: ClosedRange<Double>,
    bound: Double, sumRoom: Int, rooms: [Int]?, argumentBits: Int
  ) throws(InputError) -> FixedValue {
    let parts = try pieces(x, function, on: domain, lineBits: rooms?.last ?? 2 * bits)
    let reach = max(parts.curved.reduce(0) { $0 + $1.reach } * 1.01, bound)
    var resultBits = 61 - PieceLayout.integerBits(reach)
    if let rooms {
      resultBits = min(resultBits, sumRoom)
      let precise = rooms.first { room in
        parts.curved.allSatisfy { (room - 2) / $0.degree - $0.exponent >= argumentBits }
      }
      if let precise { resultBits = min(resultBits, precise) }
    }
    var sum = parts.lines
    for piece in parts.curved {
      let value = try polynomial(piece, resultBits: resultBits)
      if let old = sum {
        sum = try builder.add(old, value, bound: bound * 1.01)
      } else {
        sum = value
      }
    }
    return sum ?? x
  }

  /// scale * p(x - shift): one key gives both, the polynomial takes a round, the product another.
  private mutating func scaledPieces(_ x: FixedValue, _ function: ScaledPieces, keyCount: Int)
    throws(InputError) -> FixedValue
  {
    let slack = ReplacementSite(.softmax, keyCount: keyCount).scoreSlack
    let used = function.scales.indices.filter { function.scales[$0] != 0 }
    // The argument of each piece, with what a neighbouring piece may add.
    var (low, high) = (0.0, slack)
    for piece in used where piece > 0 {
      low = min(low, function.knots[piece - 1] - function.shifts[piece] - function.resolution)
      if piece < function.knots.count {
        high = max(high, function.knots[piece] - function.shifts[piece])
      }
    }
    let piece = function.polynomial
    let reach = max(high - piece.centre, piece.centre - low)
    let largest = function.scales.reduce(0) { max($0, abs($1)) }
    let values = try builder.piecewise(
      x, bits: bits + 4, resolution: function.resolution, knots: function.knots,
      outputs: [
        (
          slopes: function.scales.map { $0 == 0 ? 0 : 1 },
          intercepts: zip(function.scales, function.shifts).map {
            $0 == 0 ? 0 : -$1 - piece.centre
          }, extraBits: 0, bound: reach * 1.01
        ),
        (
          slopes: function.scales.map { _ in 0 }, intercepts: function.scales, extraBits: 0,
          bound: largest * 1.01
        ),
      ])
    let layout = PieceLayout.Curved(
      piece: piece, interval: piece.centre - reach...piece.centre + reach, slopes: [],
      intercepts: [])
    let polynomial = try polynomial(layout.curved(values[0]), resultBits: 62)
    let bound = polynomial.bound * largest
    return try builder.emit(
      .multiply(
        builder.open(polynomial, bits: bits).id, builder.open(values[1], bits: bits).id),
      bits: 2 * bits, bound: bound)
  }

  /// Fractional bits that leave room for a sum over the keys of weights up to `bound`, and for its
  /// normalisation.
  func sumRoom(_ bound: Double, keyCount: Int) -> Int {
    60 - PieceLayout.integerBits(Double(keyCount) * bound) - 2
  }
}

extension SoftmaxForm {
  /// The largest magnitude that the kernel compares scores with, or takes them to be below.
  var largestKnot: Double {
    switch kernel {
    case .piecewise(let function): function.knots.reduce(0) { max($0, abs($1)) }
    case .scaled(let function): function.knots.reduce(0) { max($0, abs($1)) }
    case .exponential: 8
    }
  }

  /// Bounds of the kernel and of the weights on `domain`.
  func bound(on domain: ClosedRange<Double>) -> (kernel: Double, weight: Double) {
    let base: Double =
      switch kernel {
      case .piecewise(let function): function.bound(on: domain) * 1.01
      case .scaled(let function):
        (0...64).reduce(0) { bound, step in
          max(bound, abs(function(domain.upperBound * (1 - Double(step) / 64))))
        } * 1.01
      case .exponential: 1.01
      }
    return (base, pow(base / 1.01, pow(2, Double(squarings))) * (squarings > 0 ? 1.1 : 1.01))
  }
}
