// Softmax by exponentials of masks: without a maximum, or with a coarse one.

import Approximation
import Bytes
import Foundation
import Models

/// Where the largest scores of a row lie in each head, and from where exponentials are taken.
private struct RowMaxima {
  /// A score above the top of its head is refused by nothing and weighs nothing: tops are far above
  /// what was seen.
  var tops: [Double]
  /// From the top to the smallest maximum of a row, with a margin: the largest of all heads.
  var depth: Double
}

/// Fractional bits with which a mix of weights is multiplied by the reciprocal of their sum.
private struct DivisionBits {
  let numerator: Int
  let reciprocal: Int
  /// Whether the product is opened as it is by the linear layer that reads it.
  let isDirect: Bool

  /// Bits that a product may lack: a flight less costs a few of what is hardly ever as small as it may
  /// be.
  private static let largestExcess = 10

  /// - Parameters:
  ///   - direct: The bits of a product that is opened as it is, where any is.
  init(
    shortfall: Double, bits: Int, valueBits: Int, sumBound: Double, bound: Double, direct: Int?
  ) {
    // A mix as small as e^-shortfall keeps as many significant bits as one of 1 would have.
    let short = Int((shortfall / log(2)).rounded(.up))
    let reciprocal = bits - 2 + magnitudeBits(sumBound)
    let numerator = min(valueBits + short, ringBits(bound) - reciprocal)
    let excess = direct.map { max(numerator + reciprocal - $0, 0) } ?? 0
    isDirect = excess <= Self.largestExcess
    self.numerator = numerator - (isDirect ? excess / 2 : 0)
    self.reciprocal = reciprocal - (isDirect ? excess - excess / 2 : 0)
  }
}

extension Lowering {
  /// Fractional bits of the scores that exponentials are taken of.
  private static let scoreBits = 12
  /// Significant bits of what is dealt for an exponential, and those that it has where there is room.
  private static let payloadBits = 10...12
  /// Fractional bits of the weights beside those that a row's largest may fall short of 1.
  private static let weightBits = 12
  /// Nats that the largest weight of a row may fall short of 1 where no maximum is subtracted.
  private static let shortfall = 10.0
  /// Nats between two levels of a coarse maximum, and of a cell of it: every cell of a score is dealt,
  /// so that a wide one is taken where it costs no flight.
  private static let levelStep = 4.0
  private static let wideLevelCell = 4.0
  private static let levelCell = 2.0
  /// The narrowest cell of exponentials, in nats, that a wide one of maxima may lead to.
  private static let narrowCell = 2.0
  /// Fractional bits of the scores that levels are taken of.
  private static let levelBits = 4
  /// By which levels may miss the distance from the top: what is dropped of a score and of its top,
  /// and what exponentials drop of both.
  private static let levelSlack = 3 * 0x1p-4

  /// softmax(scores) v for each head: e^(s - top) of every score, their sum, and the division after
  /// values are mixed.
  ///
  /// Softmax does not care for the top, which may be any number that the scores of a head do not
  /// exceed and its largest ones do not fall far short of. Where calibrated row maxima vary little it
  /// is a constant; else a row's own, found coarsely: bits tell for every level between the top and
  /// the smallest maximum whether a score is above it, and their counts whether any is. That takes two
  /// rounds, for any number of keys.
  mutating func exponentialAttention(
    _ index: Int, scores: FixedValue, range: ClosedRange<Double>, value: FixedValue,
    _ settings: AttentionSettings, gates: ValueID?
  ) throws(InputError) -> FixedValue {
    let name = model.nodes[index].name
    let heads = settings.headCount
    let keyCount = model.maximumKeyCount(settings)
    builder.label = "\(name).softmax.weights"
    // Weights are at most 1, and a row's largest far less where its maximum is below the top: sums
    // are below those that were seen beside a largest weight of 1.
    let sumBound = min(
      Double(keyCount),
      2 * (calibration.ranges[name]?[.denominator]?.upperBound ?? Double(keyCount)))
    // At least 17 bits of the largest value, and some more of small ones.
    let small = max(-magnitudeBits(value.bound), 0)
    let valueBits = min(
      max(bits + 1 - magnitudeBits(value.bound) + min(small, 3), bits - 2), 36)
    // Of more than the bound: where that is a power of two, a mix of just as much must fit.
    let mixBits = magnitudeBits(sumBound * value.bound * (1 + 0x1p-20))
    // Bits beyond those that are kept are dropped again: what is left of the ring must hold the mix.
    let room = 62 - valueBits - mixBits
    let least = Self.payloadBits.lowerBound
    let direct = try directBits(index, bound: value.bound * 1.01)
    func division(_ shortfall: Double) -> DivisionBits {
      DivisionBits(
        shortfall: shortfall, bits: bits, valueBits: valueBits, sumBound: sumBound,
        bound: value.bound * 1.01, direct: direct)
    }
    var argument = scores
    var shortfall: Double
    let range = try scoreRange(name, settings, range)
    let tight = rowMaxima(name, settings, range: range, slack: 3)
    var tops: [Double]
    if tight.depth <= Self.shortfall {
      tops = tight.tops
      shortfall = tight.depth
    } else {
      let wide = rowMaxima(name, settings, range: range, slack: 8)
      tops = wide.tops
      func missed(_ cell: Double) -> Double { Self.levelStep + cell + 2 * Self.levelSlack }
      let isFree =
        least + Self.keptBits(missed(Self.wideLevelCell)) + cellBits(Self.narrowCell) <= room
        && division(missed(Self.wideLevelCell)).isDirect
      let levelCell = isFree ? Self.wideLevelCell : Self.levelCell
      shortfall = missed(levelCell)
      builder.label = "\(name).softmax.maximum"
      argument = try levelled(scores, wide, cell: levelCell, range: range, keyCount: keyCount)
      // A score that counts as below a level may be raised above the top by what its bits hide.
      tops = tops.map { $0 + Self.levelSlack }
    }

    builder.label = "\(name).softmax.weights"
    let keptBits = Self.keptBits(shortfall)
    var cell = 8.0
    while cell > 1, least + keptBits + cellBits(cell) > room { cell /= 2 }
    let isDirect = least + keptBits + cellBits(cell) <= room
    if !isDirect { cell = 4 }
    let free = isDirect ? room - keptBits - cellBits(cell) - ProgramBuilder.spareBits : .max
    let payloadBits = min(max(free, least), Self.payloadBits.upperBound)
    let weights = try exponentials(
      argument, tops: tops, low: range.lowerBound, cell: cell, keptBits: keptBits,
      payloadBits: payloadBits)

    builder.label = "\(name).softmax.reciprocal"
    let sum = try builder.emit(.sum(weights.id, runs: heads), bits: weights.bits, bound: sumBound)
    let reciprocal = try builder.table(
      sum, unit: pow(2, Double(-sum.bits)), range: 0.8 * exp(-shortfall)...sumBound * 1.01,
      tolerance: recipe.reciprocalTolerance, leastSteps: 0x1p12
    ) { 1 / $0 }

    builder.label = "\(name).mix"
    let needed = keptBits + valueBits + mixBits + 2
    var mixed = weights
    if !isDirect { mixed = try builder.rescale(weights, to: keptBits) }
    // Openings of heads that run have zeros in all other columns.
    if gates == nil { mixed = try padded(mixed, openedBits: keptBits) }
    let openedWeights = try builder.amongAllColumns { (builder) throws(InputError) in
      try builder.openNarrow(mixed, bits: keptBits, ringBits: needed)
    }
    let openedRows = try openRows(value, bits: min(valueBits, value.bits), ringBits: needed)
    var mix = try builder.emit(
      .mix(
        weights: openedWeights.id, value: openedRows.id, heads: heads,
        keyHeads: settings.keyHeadCount),
      bits: openedWeights.bits + openedRows.bits, bound: sumBound * value.bound)
    if let gates { mix = try selected(mix, gates) }

    builder.label = "\(name).softmax.divide"
    let division = division(shortfall)
    let numerator = try builder.open(mix, bits: min(division.numerator, mix.bits))
    let denominator = try builder.open(
      reciprocal, bits: min(division.reciprocal, reciprocal.bits))
    let result = try builder.emit(
      .multiply(numerator.id, denominator.id), bits: numerator.bits + denominator.bits,
      bound: value.bound * 1.01)
    guard gates != nil, index == lastAttention else { return result }
    // Of the last attention only some rows are read, and pools belong to no row.
    return try builder.emit(.spreadBlocks(result.id), bits: result.bits, bound: result.bound)
  }

  /// The rows of values that weights are multiplied with, opened with `bits` fractional bits modulo
  /// 2^`ringBits`, those included that a text of an encoder does not have.
  private mutating func openRows(_ value: FixedValue, bits: Int, ringBits: Int)
    throws(InputError) -> MaskedValue
  {
    guard model.kind == .encoder else {
      return try builder.openWide(value, bits: bits, ringBits: ringBits)
    }
    // What is not there must be exactly zero, which it is not where bits are dropped from shares.
    var rows = try builder.rescale(value, to: bits)
    rows.id = try builder.emit(.padRows(rows.id), bits: [rows.bits])[0]
    return try builder.openNarrow(rows, bits: bits, ringBits: ringBits)
  }

  /// Bits of weights that fall short of 1 by so many nats.
  private static func keptBits(_ shortfall: Double) -> Int {
    weightBits + Int((shortfall / log(2)).rounded(.up))
  }

  /// The fractional bits with which the linear layer behind node `index` can take a product up to
  /// `bound` as it is opened, where it adds to a narrow residual stream.
  private func directBits(_ index: Int, bound: Double) throws(InputError) -> Int? {
    guard let reader = streamReader(of: index) else { return nil }
    // What is opened and the weight have together the bits of the sum.
    return 64 - (try streamRoom(of: reader)) - (2 * bits - activationBits(bound: bound))
  }

  /// Whether scores in `range` lie in as many cells as there may be.
  func canTakeExponentials(_ range: ClosedRange<Double>) -> Bool {
    range.upperBound - range.lowerBound < 512 * Self.levelCell - 16
  }

  /// What stands for exp beyond: four squarings of a polynomial, of scores less their exact maximum.
  static func treeForm(keyCount: Int) -> SoftmaxForm {
    guard
      case .softmax(let form)? = MinimaxSoftmax().form(
        at: ReplacementSite(.softmax, keyCount: keyCount))
    else { return SoftmaxForm(subtractsMaximum: true, kernel: .exponential) }
    return form
  }

  /// Bits by which the public factor is finer than weights: the dealt exponential is up to e^`cell`.
  private func cellBits(_ cell: Double) -> Int {
    Int((cell / log(2)).rounded(.up))
  }

  /// Tops of the heads and how far below them maxima of rows lie, beyond what was seen by half of
  /// its spread and `slack`; of a few tokens by twice that of all heads' scores. Where two tokens
  /// are known to have more, the top lies above these.
  private func rowMaxima(
    _ name: String, _ settings: AttentionSettings, range: ClosedRange<Double>, slack: Double
  ) -> RowMaxima {
    guard let seen = calibration.rowMaxima[name], seen.count == settings.headCount else {
      return RowMaxima(tops: [range.upperBound], depth: range.upperBound - range.lowerBound)
    }
    var result = RowMaxima(tops: [], depth: 0)
    // What few tokens give tells nothing of single heads.
    let scant = calibration.isScant(for: model) ? calibration.ranges[name]?[.scores] : nil
    for (number, var head) in seen.enumerated() {
      var margin = slack + (head.upperBound - head.lowerBound) / 2
      if let scant {
        head = min(head.lowerBound, scant.lowerBound)...max(head.upperBound, scant.upperBound)
        margin = 2 * slack + scant.upperBound - scant.lowerBound
      }
      var top = min(head.upperBound + margin, range.upperBound)
      if let pair = pairScores(name, settings)?[number], pair > top { top = pair + slack }
      result.tops.append(top)
      result.depth = max(result.depth, top - max(head.lowerBound - margin, range.lowerBound))
    }
    return result
  }

  /// Scores that exponentials are taken of: those that were seen, beyond them half of their spread and
  /// 8 nats, and what public slopes add.
  func scoreRange(
    _ name: String, _ settings: AttentionSettings, _ range: ClosedRange<Double>
  ) throws(InputError) -> ClosedRange<Double> {
    if case .linear? = settings.bias { return range }
    let seen = try calibration.range(name, .scores)
    var margin = 8 + (seen.upperBound - seen.lowerBound) / 2
    if calibration.isScant(for: model) { margin *= 2 }
    // Small scores have some nats of room as well, whatever their headroom.
    let low = min(max(range.lowerBound, seen.lowerBound - margin), seen.lowerBound - 3)
    let high = max(min(range.upperBound, seen.upperBound + margin), seen.upperBound + 3)
    let pair = pairScores(name, settings)?.max() ?? high
    return low...(pair > high ? pair + 3 : high)
  }

  /// The largest scores that two tokens have in the heads of an attention node, where these are known.
  func pairScores(_ name: String, _ settings: AttentionSettings) -> [Double]? {
    calibration.pairScores[name].flatMap { $0.count == settings.headCount ? $0 : nil }
  }

  /// e^(x - top) for x from `low` to its head's top, right to `keptBits`.
  private mutating func exponentials(
    _ x: FixedValue, tops: [Double], low: Double, cell: Double, keptBits: Int,
    payloadBits: Int
  ) throws(InputError) -> FixedValue {
    let scoreBits = min(Self.scoreBits, x.bits)
    let cells = try maskCells(
      reach: (tops.max() ?? 0) - low, cell: cell, fractionalBits: scoreBits)
    let opened = try openCells(x, cells, fractionalBits: scoreBits)
    let unit = pow(0.5, Double(scoreBits))
    let function = Exponential(
      cells: cells, tops: tops.map { Int(($0 / unit).rounded(.up)) },
      decays: (0..<cells.openedBits).map {
        UInt64((exp(-unit * pow(2, Double($0))) * 0x1p62).rounded())
      },
      payloadBits: payloadBits, factorBits: keptBits + cellBits(cell))
    return try builder.emit(
      .exponential(opened.id, function), bits: function.fractionalBits, bound: 1)
  }

  /// Scores raised by the levels that all scores of their row are below.
  private mutating func levelled(
    _ scores: FixedValue, _ maxima: RowMaxima, cell: Double, range: ClosedRange<Double>,
    keyCount: Int
  ) throws(InputError) -> FixedValue {
    let levelCount = Int((maxima.depth / Self.levelStep).rounded(.up)) - 1
    guard levelCount > 0 else { return scores }
    let heads = builder.shape(scores.id).columns.runCount
    let scoreBits = min(Self.levelBits, scores.bits)
    let cells = try maskCells(
      reach: (maxima.tops.max() ?? 0) - range.lowerBound, cell: cell,
      fractionalBits: scoreBits)
    let opened = try openCells(scores, cells, fractionalBits: scoreBits)
    let cellsALevel = Int(Self.levelStep / cell)
    let steps = CoarseSteps(
      cells: cells,
      tops: maxima.tops.map { Int(($0 * pow(2, Double(scoreBits))).rounded(.up)) },
      bounds: (1...levelCount).map { $0 * cellsALevel })
    let above = try builder.emit(
      .coarseSteps(opened.id, steps), bits: steps.bounds.map { _ in 0 })
    // A row's maximum is raised by every level that no score is above.
    let step = Self.levelStep * pow(2, Double(scores.bits))
    var terms = [Term(scores.id, 1)]
    let countBits = magnitudeBits(Double(keyCount) + 1)
    // Every bit of a level is known as far as the scores that it raises.
    let bound = scores.bound + Double(levelCount) * Self.levelStep
    let neededBits = scores.bits + magnitudeBits(bound) + 2 - Int(step).trailingZeroBitCount
    for bit in above {
      let count = FixedValue(
        id: try builder.emit(.sum(bit, runs: heads), bits: [0])[0], bits: 0,
        bound: Double(keyCount))
      let openedCount = try builder.openNarrow(
        count, bits: 0, ringBits: max(countBits + 1, neededBits))
      let isReached = PiecewiseLinear(
        shift: 0, droppedBits: 0, comparedBits: countBits + 1, knots: [1],
        outputs: [
          PiecewiseLinear.Output(slopes: [0, 0], intercepts: [0, 1], fractionalBits: 0)
        ], openedBits: builder.program.values[openedCount.id].ringBits)
      terms.append(
        Term(
          try builder.emit(.piecewiseLinear(openedCount.id, isReached), bits: [0])[0],
          -Int(step)))
    }
    return try builder.emit(
      .combine(terms, constant: UInt64(Double(levelCount) * step)), bits: scores.bits,
      bound: bound)
  }

  /// Cells of `cell` for distances of up to `reach` from a top.
  private func maskCells(reach: Double, cell: Double, fractionalBits: Int) throws(InputError)
    -> MaskCells
  {
    let cellBits = fractionalBits + Int(log2(cell))
    let needed = (reach + cell + 1) * pow(2, Double(fractionalBits))
    let openedBits = max(Int(log2(needed).rounded(.up)), cellBits + 1)
    guard openedBits - cellBits <= 10, openedBits <= 30, cellBits > 0 else {
      throw InputError(
        "lowering", place: builder.label, "scores spread over \(Int(reach)) are too wide",
        hint: "lower the recipe's headroom, or choose the softmax \"minimax\"")
    }
    return MaskCells(openedBits: openedBits, bits: cellBits)
  }

  private mutating func openCells(_ x: FixedValue, _ cells: MaskCells, fractionalBits: Int)
    throws(InputError) -> MaskedValue
  {
    let shift = x.bits - fractionalBits
    guard cells.openedBits <= builder.ringBits(x) - shift else {
      throw InputError(
        "lowering", place: builder.label,
        "scores have \(builder.ringBits(x) - shift) bits, not \(cells.openedBits)",
        hint: "lower the recipe's headroom, or choose the softmax \"minimax\"")
    }
    return try builder.openExactly(x, bits: fractionalBits, ringBits: cells.openedBits)
  }
}
