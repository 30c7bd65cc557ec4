// The division of a mix of values by the sum of its weights, where that has more binades than a
// table.

import Approximation
import Bytes
import Foundation

/// 1 / x by lines, for x of some binades, and 0 for others: lines over a part of many binades have
/// one scale, and none serves the slopes of all.
private struct ReciprocalPart {
  /// Units of x.
  let range: Range<Int>
  let function: PiecewiseLinear
  var fractionalBits: Int { function.outputs[0].fractionalBits }

  /// Parts of binades that follow each other.
  struct Plan {
    let unitBits: Int
    let tolerance: Double
    /// Of the tolerance, what rounded slopes may cost.
    let slopeShare: Double

    /// Of pieces to where they begin: 1 / x is half a chord's distance from it, a square by 8.
    var pieceRatio: Double { (8 * tolerance).squareRoot() }

    func value(_ units: Double) -> Double { pow(2, Double(unitBits)) / units }

    func fractionalBits(_ range: Range<Int>) -> Int {
      min(60 - Int(log2(value(Double(range.lowerBound)) * 1.01).rounded(.up)), 62)
    }

    /// Bits that slopes do not see, and with which they are fine enough; nil where numbers would not be.
    func shift(_ range: Range<Int>) -> Int? {
      let high = Double(range.upperBound)
      let fine = slopeShare * tolerance * value(high) * pow(2, Double(fractionalBits(range)))
      let shift = max(Int(log2(high * pieceRatio / 4 / fine).rounded(.up)), 0)
      let isFine = shift == 0 || Double(range.lowerBound) / pow(2, Double(shift)) >= 1 / tolerance
      return isFine ? shift : nil
    }

    /// From `least` units up to 2^`endBits`, each as long as it may be, from the last on; nil where
    /// that would be many.
    func ranges(
      least: Int, endBits: Int, missingBits: Int, missing: (_ range: Range<Int>) -> Int
    ) -> [Range<Int>]? {
      var (result, end): ([Range<Int>], Int) = ([], 1 << endBits)
      while end > least, result.count < 4 {
        var low = least
        while low < end, shift(low..<end) == nil || missing(low..<end) > missingBits {
          low = 2 << Int(log2(Double(low)))
        }
        if low >= end { return nil }
        result.append(low..<end)
        end = low
      }
      return end <= least ? result.reversed() : nil
    }
  }

  /// The shares of the tolerance that rounded slopes may cost, and the bits that both factors may lack
  /// together: the first that serve, since the widest ranges need more.
  private static let concessions: [(slopeShare: Double, bits: Int)] = [
    (0.25, 0), (1, 0), (4, 0), (4, 4), (4, 8),
  ]

  /// Few parts of `least` units of 2^-`unitBits` up to 2^`endBits` units, for factors that lack
  /// `missing` bits; nil where many would not do.
  static func parts(
    least: Int, endBits: Int, unitBits: Int, tolerance: Double,
    missing: (_ range: Range<Int>) -> Int
  ) -> [ReciprocalPart]? {
    let comparedBits = PiecewiseLinear.comparedBits(
      reach: pow(2, Double(endBits)), droppedBits: 0)
    for concession in concessions {
      let plan = Plan(
        unitBits: unitBits, tolerance: tolerance, slopeShare: concession.slopeShare)
      let ranges = plan.ranges(
        least: least, endBits: endBits, missingBits: concession.bits, missing: missing)
      if let ranges {
        return ranges.map {
          ReciprocalPart(
            $0, plan, isLast: $0.upperBound == 1 << endBits, comparedBits: comparedBits)
        }
      }
    }
    return nil
  }

  private init(_ range: Range<Int>, _ plan: Plan, isLast: Bool, comparedBits: Int) {
    let (low, high) = (range.lowerBound, range.upperBound)
    // Pieces are longer than two units; before them every number has its own.
    let fitted = max(low, 1 << Int(log2(2 / plan.pieceRatio).rounded(.up)))
    let single = Array(low..<max(low, min(high, fitted)))
    let (scaleBits, shift) = (plan.fractionalBits(range), plan.shift(range) ?? 0)
    let scale = pow(2, Double(scaleBits))
    var lines = [(slope: 0, intercept: 0)]
    lines += single.map { (0, Int((plan.value(Double($0)) * scale).rounded())) }
    var starts: [Int] = []
    if fitted < high {
      let fit = PiecewiseLinearFit.fit(
        on: Double(fitted)...Double(high), tolerance: plan.tolerance, plan.value)
      starts = [fitted] + fit.knots.map { Int($0.rounded()) }
      for (piece, (start, end)) in zip(starts, starts.dropFirst() + [high]).enumerated() {
        // The intercept makes up for the rounding of the slope in the middle of the piece.
        let middle = Double(start + end) / 2
        let slope = (fit.slopes[piece] * scale * pow(2, Double(shift))).rounded()
        let exact = (fit.slopes[piece] * middle + fit.intercepts[piece]) * scale
        let intercept = (exact - slope * middle / pow(2, Double(shift))).rounded()
        lines.append((Int(slope), Int(intercept)))
      }
    }
    // What is more than there may be is taken for the most.
    lines.append((0, isLast ? Int((plan.value(Double(high)) * scale).rounded()) : 0))
    self.range = range
    function = PiecewiseLinear(
      shift: shift, droppedBits: 0, comparedBits: comparedBits, knots: single + starts + [high],
      outputs: [
        PiecewiseLinear.Output(
          slopes: lines.map(\.slope), intercepts: lines.map(\.intercept), fractionalBits: scaleBits)
      ])
  }
}

extension Lowering {
  /// mix / sum for sums anywhere between epsilon and `largest`, far wider than one table serves.
  ///
  /// Tables give 1 / sum in parts, of which the one that the sum lies in is not zero. Each multiplies
  /// the mix, with as many bits of both as its sums need, and the products are added up: as many
  /// flights as a single table takes.
  mutating func divide(
    _ mix: FixedValue, by sum: FixedValue, epsilon: Double, largest: Double, bound: Double
  ) throws(InputError) -> FixedValue {
    let lowest = Int(log2(epsilon).rounded(.down))
    guard sum.bits + lowest >= 0 else {
      throw InputError(
        "lowering", place: builder.label,
        "epsilon \(epsilon) is zero with \(sum.bits) fractional bits: a row without weight is 0/0",
        hint: "raise the recipe's epsilon or fractionalBits")
    }
    // Bits of both factors for sums in `range`, and those that they lack together: as a rule the mix has
    // some to spare.
    let (unit, wanted) = (pow(2, Double(-sum.bits)), activationBits(bound: bound))
    func factorBits(_ range: Range<Int>) -> (numerator: Int, reciprocal: Int, missing: Int) {
      let small = Int(log2(Double(range.lowerBound) * unit).rounded(.down))
      var numerator = max(min(wanted + 2 - small, mix.bits), ProgramBuilder.leastFractionalBits)
      var reciprocal = bits + 2 + magnitudeBits(Double(range.upperBound) * unit)
      let spare = ringBits(bound * 1.01) - numerator - reciprocal
      if spare < 0 {
        numerator = max(numerator + spare / 2, ProgramBuilder.leastFractionalBits)
        reciprocal = ringBits(bound * 1.01) - numerator
      } else {
        numerator = min(numerator + min(spare, 6), mix.bits)
      }
      return (numerator, reciprocal, max(-spare, 0))
    }
    // A sum below half of epsilon is a rounding error of weights: nothing may be divided by it.
    let parts = ReciprocalPart.parts(
      least: 1 << max(sum.bits + lowest - 1, 0), endBits: sum.bits + magnitudeBits(largest),
      unitBits: sum.bits, tolerance: recipe.reciprocalTolerance
    ) { factorBits($0).missing }
    guard let parts else {
      throw InputError(
        "lowering", place: builder.label,
        "sums from \(epsilon) to \(largest) are too wide a range to divide by",
        hint: "raise the recipe's epsilon or tableTolerance, or lower its fractionalBits")
    }
    let openedSum = try builder.open(sum)
    var result: FixedValue?
    for part in parts {
      let factors = factorBits(part.range)
      let reciprocal = try builder.emit(
        .piecewiseLinear(openedSum.id, part.function), bits: part.fractionalBits,
        bound: 1.01 / (Double(part.range.lowerBound) * unit))
      let numerator = try builder.open(mix, bits: factors.numerator)
      // What is opened whole keeps zeros: the mix may be far larger than sums of this part are.
      let denominator = try openedWhole(
        reciprocal, bits: min(factors.reciprocal, part.fractionalBits))
      let quotient = try builder.emit(
        .multiply(numerator.id, denominator.id), bits: numerator.bits + denominator.bits,
        bound: bound * 1.01)
      result =
        try result.map { (sum) throws(InputError) in
          try builder.add(sum, quotient, bound: bound * 1.01)
        } ?? quotient
    }
    return result ?? mix
  }

  private mutating func openedWhole(_ value: FixedValue, bits: Int) throws(InputError)
    -> MaskedValue
  {
    let opensBits = builder.opensBits
    builder.opensBits = false
    defer { builder.opensBits = opensBits }
    return try builder.open(value, bits: bits)
  }
}
