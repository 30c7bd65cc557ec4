// Attention: scores, their weights, the mix of values, and a late division.

import Approximation
import Bytes
import Foundation
import Models

extension Lowering {
  /// Units of a sum's fixed point in its epsilon from which on one table serves all sums.
  private static let leastEpsilonSteps = 0x1p10

  /// softmax(q k^T) v for each head, with `form` for softmax, or none where it is permuted; the scale
  /// is already in the query projection.
  ///
  /// The values are mixed with the weights, and the mix is divided by their sum: the sum's
  /// reciprocal is then computed while the mix is, and multiplies `width` numbers a row instead
  /// of one a key. Scores exist for allowed keys only, and missing keys of a text or context that is
  /// shorter than the session's get weights of zero after the kernel: no mask is ever added to a score.
  mutating func attention(
    _ index: Int, query: FixedValue, key: FixedValue, value: FixedValue,
    _ settings: AttentionSettings, form: SoftmaxForm?
  ) throws(InputError) -> FixedValue {
    let name = model.nodes[index].name
    let (heads, keyHeads) = (settings.headCount, settings.keyHeadCount)
    let mostKeys = model.maximumKeyCount(settings)
    let keyCount = Double(mostKeys)
    let gates = headGates.attentions[index].flatMap { gateBits[$0] }
    // Small weights of trained forms need all bits that there are.
    builder.opensBits = form.map(Self.opensBits) ?? true
    defer { builder.opensBits = true }
    let (scores, range) = try self.scores(
      index, query: query, key: key, settings,
      isShortened: form.map { $0.kernel == .exponential } ?? true,
      reach: form?.largestKnot ?? 8, gates: gates)
    if gates != nil {
      guard case .exponential? = form?.kernel,
        try canTakeExponentials(scoreRange(name, settings, range))
      else {
        throw InputError(
          "lowering", place: name, "heads are skipped only where softmax takes exponentials",
          hint: "leave the heads' gates out, or take the recipe \"accurate\"")
      }
    }
    guard var form else {
      return try permutedAttention(index, scores: scores, value: value, settings)
    }
    if case .exponential = form.kernel, try !canTakeExponentials(scoreRange(name, settings, range))
    {
      // Scores too wide for cells keep the tree.
      form = Self.treeForm(keyCount: mostKeys)
    }
    if case .exponential = form.kernel {
      return try exponentialAttention(
        index, scores: scores, range: range, value: value, settings, gates: gates)
    }

    var argument = scores
    var domain = range
    if form.subtractsMaximum {
      builder.label = "\(name).softmax.maximum"
      let maximum = try self.maximum(
        of: scores, keyCount: mostKeys,
        reach: range.upperBound - range.lowerBound + form.largestKnot)
      argument = try builder.emit(
        .combine([Term(scores.id, 1), Term(maximum.id, -1)], constant: 0), bits: scores.bits,
        bound: range.upperBound - range.lowerBound)
      domain =
        range.lowerBound
        - range.upperBound...ReplacementSite(.softmax, keyCount: mostKeys)
        .scoreSlack
    }

    builder.label = "\(name).softmax.weights"
    let weightBound = form.bound(on: domain).weight
    let mixBound = keyCount * weightBound * value.bound
    let mixRoom = ringBits(mixBound) - bits
    var weights = try self.weights(
      argument, form, on: domain, keyCount: mostKeys, room: mixRoom,
      preferredRoom: ringBits(mixBound) - activationBits(value))

    builder.label = "\(name).softmax.reciprocal"
    let sumBound = keyCount * weightBound + form.epsilon
    var sum = try builder.emit(.sum(weights.id, runs: heads), bits: weights.bits, bound: sumBound)
    var reciprocal: FixedValue?
    if form.subtractsMaximum {
      // The largest weight is that of 0, or of more where the maximum was missed.
      reciprocal = try builder.table(
        sum, unit: pow(2, Double(-sum.bits)), range: 0.75...sumBound,
        tolerance: recipe.tableTolerance
      ) { 1 / $0 }
    } else {
      sum = try builder.adding(form.epsilon, to: sum)
      reciprocal = epsilonTable(sum, epsilon: form.epsilon, largest: sumBound)
    }

    builder.label = "\(name).mix"
    if !builder.fits(bits: weights.bits + bits, bound: mixBound) {
      weights = try builder.rescale(weights, to: form.subtractsMaximum ? bits : mixRoom)
    }
    // Small values have more bits where the weights leave them.
    let valueBits = max(bits, min(activationBits(value), ringBits(mixBound) - weights.bits))
    let narrowValue = try builder.rescale(value, to: valueBits)
    var rows = narrowValue
    weights = try padded(weights, openedBits: weights.bits)
    if model.kind == .encoder {
      rows.id = try builder.emit(.padRows(rows.id), bits: [rows.bits])[0]
    }
    let openedWeights = try builder.open(weights)
    let openedRows = try builder.open(rows)
    let mix = try builder.emit(
      .mix(weights: openedWeights.id, value: openedRows.id, heads: heads, keyHeads: keyHeads),
      bits: weights.bits + valueBits, bound: mixBound)

    builder.label = "\(name).softmax.divide"
    guard let reciprocal else {
      return try divide(
        mix, by: sum, epsilon: form.epsilon, largest: sumBound, bound: value.bound)
    }
    // A reciprocal as small as one over the largest sum keeps `bits` significant bits, and so does a mix
    // that is as small as epsilon.
    let reciprocalBits =
      bits + (form.subtractsMaximum ? Int(log2(keyCount).rounded(.up)) : magnitudeBits(sumBound))
    let small = form.subtractsMaximum ? 0 : max(-magnitudeBits(form.epsilon), 0)
    let numerator = try builder.open(mix, bits: valueBits + small)
    let denominator = try builder.open(reciprocal, bits: min(reciprocalBits, reciprocal.bits))
    return try builder.emit(
      .multiply(numerator.id, denominator.id), bits: numerator.bits + denominator.bits,
      bound: value.bound * 1.01)
  }

  /// Whether what a softmax form computes with may be opened with the bits that are read.
  private static func opensBits(_ form: SoftmaxForm) -> Bool {
    switch form.kernel {
    case .exponential: true
    case .piecewise(let function):
      form.subtractsMaximum
        || form.squarings == 0 && function.pieces.allSatisfy { $0.degree <= 1 }
    case .scaled: form.subtractsMaximum
    }
  }

  /// 1 / sum for sums from epsilon on, where these are so few binades that one table serves them all,
  /// and epsilon is known in enough bits.
  private mutating func epsilonTable(_ sum: FixedValue, epsilon: Double, largest: Double)
    -> FixedValue?
  {
    guard pow(2, Double(sum.bits)) * epsilon >= Self.leastEpsilonSteps else { return nil }
    let before = builder
    do {
      return try builder.table(
        sum, unit: pow(2, Double(-sum.bits)), range: 0.9 * epsilon...largest,
        tolerance: recipe.reciprocalTolerance, leastSteps: Self.leastEpsilonSteps / 4
      ) { 1 / $0 }
    } catch {
      builder = before
      return nil
    }
  }

  /// Weights with columns for all keys in the dealt layout, of which those that there are not are
  /// zero when the weights are opened with `openedBits`.
  ///
  /// What drops bits adds one to everything: an encoder's missing keys have values of zero, but those
  /// of a decoder are rejected rows, or rows of a context that are to come.
  mutating func padded(_ weights: FixedValue, openedBits: Int) throws(InputError) -> FixedValue {
    let shift = weights.bits - openedBits
    // Keys that are there get it before, so that what is taken off afterwards falls on the others.
    let dropped = shift > 0 && model.kind.isDecoder ? UInt64(1) << UInt64(shift) : 0
    func adding(_ constant: UInt64, to id: ValueID) throws(InputError) -> ValueID {
      if constant == 0 { return id }
      return try builder.emit(
        .combine([Term(id, 1)], constant: constant), bits: [weights.bits])[0]
    }
    var result = weights
    result.id = try adding(dropped, to: weights.id)
    result.id = try builder.emit(.padKeys(result.id), bits: [weights.bits])[0]
    result.id = try adding(0 &- dropped, to: result.id)
    return result
  }
}
