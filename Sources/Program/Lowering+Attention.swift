// Attention: scores, a maximum by a tree of comparisons, the exponential, and a late division.

import Approximation
import Bytes
import Foundation
import Models

extension Lowering {
  /// Comparisons of scores look no closer: softmax divides a missed maximum out.
  static let scoreResolution = 0x1p-4

  /// softmax(q k^T) v for each head; the scale is already in the query projection.
  ///
  /// The values are mixed with the exponentials, and the mix is divided by their sum: the sum's
  /// reciprocal is then computed while the mix is, and multiplies `width` numbers a row instead
  /// of one a key.
  mutating func attention(
    _ index: Int, query: FixedValue, key: FixedValue, value: FixedValue, heads: Int, keyHeads: Int
  ) throws(InputError) -> FixedValue {
    let name = model.nodes[index].name
    let keyCount = Double(model.maximumPositions)
    builder.label = "\(name).scores"
    let openedQuery = try builder.open(builder.rescale(query, to: bits))
    let openedKey = try builder.open(builder.rescale(key, to: bits))
    let scoreBound = try calibration.bound(name, .scores) * recipe.headroom
    let scores = try builder.emit(
      .scores(query: openedQuery.id, key: openedKey.id, heads: heads, keyHeads: keyHeads),
      bits: 2 * bits,
      bound: scoreBound)

    builder.label = "\(name).softmax.maximum"
    let maximum = try self.maximum(of: scores)
    let centred = try builder.emit(
      .combine([Term(scores.id, 1), Term(maximum.id, -1)], constant: 0), bits: scores.bits,
      bound: 2 * scoreBound)

    builder.label = "\(name).softmax.exp"
    let exponentials = try exponential(centred)

    builder.label = "\(name).softmax.reciprocal"
    let sum = try builder.emit(
      .sum(exponentials.id, runs: heads), bits: exponentials.bits,
      bound: keyCount * exponentials.bound)
    // The largest term is 1, or more where the maximum was missed.
    let reciprocal = try builder.table(
      sum, unit: pow(2, Double(-sum.bits)), range: 0.75...keyCount * exponentials.bound,
      tolerance: recipe.tableTolerance
    ) { 1 / $0 }

    builder.label = "\(name).mix"
    let narrowValue = try builder.rescale(value, to: bits)
    var weights = exponentials
    let mixBound = keyCount * exponentials.bound * value.bound
    if !builder.fits(bits: weights.bits + bits, bound: mixBound) {
      weights = try builder.rescale(weights, to: bits)
    }
    var rows = narrowValue
    if model.kind == .encoder {
      weights.id = try builder.emit(.padKeys(weights.id), bits: [weights.bits])[0]
      rows.id = try builder.emit(.padRows(rows.id), bits: [rows.bits])[0]
    }
    let openedWeights = try builder.open(weights)
    let openedRows = try builder.open(rows)
    let mix = try builder.emit(
      .mix(weights: openedWeights.id, value: openedRows.id, heads: heads, keyHeads: keyHeads),
      bits: weights.bits + bits, bound: mixBound)

    builder.label = "\(name).softmax.divide"
    // A reciprocal as small as 1/keyCount keeps `bits` significant bits.
    let reciprocalBits = bits + Int(log2(keyCount).rounded(.up))
    let numerator = try builder.open(mix, bits: bits)
    let denominator = try builder.open(reciprocal, bits: min(reciprocalBits, reciprocal.bits))
    return try builder.emit(
      .multiply(numerator.id, denominator.id), bits: numerator.bits + denominator.bits,
      bound: value.bound * 1.01)
  }

  /// The largest score of each head and row, by a tree of max(a, b) = b + max(a - b, 0).
  ///
  /// It may miss the true maximum by `scoreResolution` a level, which softmax divides out.
  mutating func maximum(of scores: FixedValue) throws(InputError) -> FixedValue {
    var level = scores
    var width = model.maximumPositions
    while width > 1 {
      let difference = try builder.emit(
        .pairDifference(level.id), bits: level.bits, bound: 2 * scores.bound)
      let positive = try builder.piecewise(
        difference, bits: difference.bits, resolution: Lowering.scoreResolution, knots: [0],
        outputs: [(slopes: [0, 1], intercepts: [0, 0], extraBits: 0, bound: difference.bound)])[0]
      level = try builder.emit(
        .pairMerge(level.id, positive.id), bits: level.bits, bound: scores.bound)
      width = (width + 1) / 2
    }
    // One key a head is left: the sum over the keys is that key.
    guard case .keys(let heads, _) = builder.shape(level.id).columns else { return level }
    return try builder.emit(.sum(level.id, runs: heads), bits: level.bits, bound: scores.bound)
  }

  /// exp(x) for x <= 0, or as far above as the maximum was missed, with x clipped:
  /// P(x / 2^s)^(2^s).
  mutating func exponential(_ x: FixedValue) throws(InputError) -> FixedValue {
    let clip = recipe.expClip
    let half = -clip / 2
    let squarings = recipe.expSquarings
    let slack = Lowering.scoreResolution * log2(Double(model.maximumPositions)).rounded(.up)
    // u = clipped x + half, within -half ... half + slack.
    let centred = try builder.piecewise(
      x, bits: bits + 4, resolution: Lowering.scoreResolution, knots: [clip],
      outputs: [(slopes: [0, 1], intercepts: [-half, half], extraBits: 0, bound: half + slack)])[0]
    let root = pow(2, Double(-squarings))
    var power = try polynomial(
      centred, degree: recipe.expDegree, bound: exp(slack * root) * 1.01, on: -half...half + slack
    ) { exp(($0 - half) * root) }
    for _ in 0..<squarings {
      let view = try builder.open(power, bits: bits)
      power = try builder.emit(
        .polynomial(view.id, coefficients: [[0, 0, 1]]), bits: 2 * view.bits,
        bound: exp(slack) * 1.1)
    }
    return power
  }
}
