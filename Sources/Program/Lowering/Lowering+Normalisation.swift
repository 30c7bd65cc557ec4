// LayerNorm and RMSNorm: with the exact variance and a table for its inverse square root, or
// affine.

import Approximation
import Bytes
import Foundation
import Models

extension Lowering {
  /// The normalisation of `x` by `form`; gamma and beta are left to the consumers, and of an affine
  /// one everything is.
  ///
  /// Where no linear layer reads it nothing is left, and gamma costs no round.
  mutating func normalise(
    _ index: Int, _ x: FixedValue, form: NormalisationForm, _ settings: Normalisation,
    isCentred: Bool
  ) throws(InputError) -> LoweredValue {
    var pending = PendingNormalisation(
      gamma: settings.gamma, beta: settings.beta, scale: queryScale(index),
      groupCount: settings.groupCount)
    switch form {
    case .exact:
      if scalesLater(index, settings) {
        return .unscaled(
          try unscaledRows(index, x, settings, isCentred: isCentred), pending)
      }
      let value = try normalise(index, x, settings, isCentred: isCentred)
      return hasLinearReaders(index) ? .normalised(value, pending) : .plain(value)
    case .affine(let factor):
      pending.factor = factor * pending.scale
      pending.isCentred = isCentred
      if isCentred, settings.groupCount > 1 {
        // The mean of a group cannot be taken from the rows of a weight.
        return .plain(try materialise(index, x, pending))
      }
      return .normalised(x, pending)
    }
  }

  /// Whether a linear layer can take gamma and beta of node `index`, or nothing reads it.
  private func hasLinearReaders(_ index: Int) -> Bool {
    let consumers = consumers(of: index)
    return consumers.isEmpty
      || consumers.contains { consumer in
        if case .linear = model.nodes[consumer].operation { return true }
        return false
      }
  }

  /// What is pending of node `index`, carried out: for consumers that are not linear.
  mutating func materialise(_ index: Int, _ x: FixedValue, _ pending: PendingNormalisation)
    throws(InputError) -> FixedValue
  {
    let name = model.nodes[index].name
    let width = model.nodes[index].width
    let bound = try outputBound(index) * pending.scale
    var value = x
    var factor = pending.factor
    if pending.isCentred {
      let centred = try self.centred(
        x, width: width, groupCount: pending.groupCount, bound: 2 * x.bound)
      value = centred.value
      factor /= centred.shrink
    }
    guard pending.gamma != nil || factor != 1 else {
      return try shifted(index, value, by: pending.beta, scale: pending.scale)
    }
    let source = WeightFormula(
      tensor: pending.gamma, runCount: runCount(of: pending.gamma, width: width), factor: factor)
    let precision = self.precision(source, factor: factor)
    // Small factors need more bits; a little less than all of them saves a truncation.
    let wanted = precision.wanted
    var room = ringBits(bound) - value.bits
    if room < min(wanted, bits + 4) - 4 || room < precision.needed {
      value = try builder.rescale(value, to: ringBits(bound) - wanted)
      room = wanted
    }
    guard pending.gamma != nil else {
      let scaled = try self.scaled(value, by: factor, bound: bound)
      return try shifted(index, scaled, by: pending.beta, scale: pending.scale)
    }
    let scale = builder.weight(
      ProgramWeight(
        name: "\(name).scale", rowCount: 1, columnCount: width,
        fractionalBits: min(wanted, room), source: source))
    let scaled = try builder.emit(
      .scale(builder.open(value).id, weight: scale), bits: value.bits + min(wanted, room),
      bound: bound)
    return try shifted(index, scaled, by: pending.beta, scale: pending.scale)
  }

  /// `value` plus `scale` * beta, where there is one.
  private mutating func shifted(_ index: Int, _ value: FixedValue, by beta: String?, scale: Double)
    throws(InputError) -> FixedValue
  {
    guard let beta else { return value }
    let width = model.nodes[index].width
    return try addBias(
      value, name: "\(model.nodes[index].name).shift",
      source: WeightFormula(
        tensor: beta, runCount: runCount(of: beta, width: width), factor: scale), width: width)
  }

  /// How often `vector`, which may be that of a group, is repeated in a row.
  func runCount(of vector: String?, width: Int) -> Int {
    guard let vector, let count = weightShape(vector).first else { return 1 }
    return width / count
  }

  /// gamma * x, where there is a gamma, for a result up to `bound`.
  private mutating func timesGamma(
    _ index: Int, _ x: FixedValue, gamma: String?, bound: Double
  ) throws(InputError) -> FixedValue {
    guard let gamma else { return x }
    let node = model.nodes[index]
    let source = WeightFormula(tensor: gamma, runCount: runCount(of: gamma, width: node.width))
    let wanted = precision(source).wanted
    let room = ringBits(bound)
    var value = x
    if x.bits + wanted - 4 > room || builder.ringBits(x) < 64 {
      value = try builder.lift(x, to: min(x.bits, room - wanted))
    }
    let gammaBits = min(wanted, room - value.bits)
    let scale = builder.weight(
      ProgramWeight(
        name: "\(node.name).scale", rowCount: 1, columnCount: node.width,
        fractionalBits: gammaBits, source: source))
    return try builder.emit(
      .scale(builder.open(value).id, weight: scale), bits: value.bits + gammaBits, bound: bound)
  }

  /// (x - mean) * shrink with log2(width) more fractional bits, exactly: n x - sum(x) = n (x -
  /// mean), shrink = n / 2^(rounded log2 n) in 0.5 ... 1; n is the width of a group.
  mutating func centred(_ x: FixedValue, width: Int, groupCount: Int, bound: Double)
    throws(InputError) -> (value: FixedValue, shrink: Double)
  {
    let width = width / groupCount
    let widthBits = Int(log2(Double(width)).rounded(.up))
    let shrink = Double(width) / pow(2, Double(widthBits))
    var input = x
    while !builder.fits(bits: input.bits + widthBits, bound: bound * shrink) {
      input = try builder.rescale(x, to: input.bits - 4)
    }
    let sum = try builder.emit(.sum(input.id, runs: groupCount), bits: [input.bits])[0]
    let value = try builder.emit(
      .combine([Term(input.id, width), Term(sum, -1)], constant: 0),
      bits: input.bits + widthBits, bound: bound * shrink)
    return (value, shrink)
  }

  /// (x - mean) / sqrt(variance + epsilon), or x / sqrt(mean square + epsilon) where it is not
  /// centred, times the attention scale of a query; with gamma and beta unless linear layers take
  /// them.
  ///
  /// Centring is exact: n x - sum(x) = n (x - mean). Normalisation does not care for the factor,
  /// which the table takes back.
  mutating func normalise(
    _ index: Int, _ x: FixedValue, _ settings: Normalisation, isCentred: Bool
  ) throws(InputError) -> FixedValue {
    let node = model.nodes[index]
    let epsilon = settings.epsilon
    let width = Double(node.width / settings.groupCount)
    let scale = queryScale(index)
    let isWhole = !hasLinearReaders(index)
    // y = (x - mean) * n / 2^widthBits, or x.
    let widthBits = isCentred ? Int(log2(width).rounded(.up)) : 0
    let shrink = isCentred ? width / pow(2, Double(widthBits)) : 1
    // Of the variance plus epsilon, which is what the root is taken of.
    let range = try calibration.normalisedRange(
      node.name, epsilon: epsilon, headroom: varianceHeadroom)
    let (low, high) = (range.lowerBound, range.upperBound)

    // Bits of y and of the inverse root: equal relative precision at the ends of their ranges,
    // with a product that the following layers can take without a truncation.
    let outputBound = try outputBound(index)
    let rooms = try consumerRooms(index)
    // More bits for weights may take some of those here, but no further truncation.
    let fitsDirectly = rooms.least >= 2 * bits - 2
    let room = fitsDirectly ? max(rooms.sufficient, 2 * bits - 2) : rooms.sufficient
    // Of the product, in bits: gamma and the attention scale change it, and epsilon may.
    let smallness = Double(try smallness(index, epsilon: epsilon))
    var size = -smallness
    var budget = Double(fitsDirectly ? min(room, 40 + Int(smallness)) : 40 + Int(smallness))
    let lowRoot = log2(low.squareRoot() * shrink)
    let highRoot = log2(high.squareRoot() * shrink)
    if isWhole {
      // Of what is always zero no more bits are kept than of what is small.
      size = max(log2(outputBound * scale / recipe.headroom), -20)
      budget = wholeBudget(index, size: size, precisionLoss: (highRoot - lowRoot) / 2)
    }
    let precision = (budget + size + lowRoot - highRoot) / 2
    let numeratorBits = Int((precision - lowRoot - size + log2(scale)).rounded())
    var centredBits = Int((precision - lowRoot + smallness).rounded())
    // The sum of squares n * y^2 must fit.
    let sumBits = Int(log2(width * shrink * shrink * high).rounded(.up))
    let mostBits = min((61 - sumBits) / 2, 31)
    // Taking off a bit or two would cost a view and gain next to nothing.
    if mostBits >= x.bits + widthBits, centredBits >= x.bits + widthBits - 2 {
      centredBits = x.bits + widthBits
    }
    centredBits = min(centredBits, mostBits, x.bits + widthBits)

    let bound = min(2 * x.bound, (width * high).squareRoot()) * shrink
    var wide = x
    if isCentred {
      wide =
        try self.centred(
          x, width: node.width, groupCount: settings.groupCount, bound: bound / shrink
        ).value
    } else {
      while !builder.fits(bits: wide.bits, bound: bound) {
        wide = try builder.rescale(x, to: wide.bits - 4)
      }
    }
    let centred = try builder.open(wide, bits: centredBits)
    let squares = try builder.emit(
      .polynomial(centred.id, coefficients: [[0, 0, 1]]), bits: 2 * centred.bits,
      bound: width * shrink * shrink * high)
    let total = try builder.emit(
      .sum(squares.id, runs: settings.groupCount), bits: 2 * centred.bits, bound: squares.bound)

    let unit = 1 / (width * shrink * shrink * pow(2, Double(2 * centred.bits)))
    let inverseRoot = try builder.table(
      total, unit: unit, offset: epsilon, range: range, tolerance: recipe.tableTolerance,
      leastSteps: Lowering.leastSteps
    ) { scale / (shrink * $0.squareRoot()) }
    guard isWhole else {
      let rootBits = min(max(Int(budget) - centred.bits, 4), inverseRoot.bits)
      let root = try builder.open(inverseRoot, bits: rootBits)
      let product = try builder.emit(
        .multiply(centred.id, root.id), bits: centred.bits + root.bits,
        bound: width.squareRoot() * 2 * scale * pow(2, -smallness))
      return fitsDirectly ? product : try builder.rescale(product, to: bits + Int(smallness))
    }
    // gamma comes before the root: it is multiplied while that is looked up.
    let numerator = try builder.open(
      timesGamma(
        index, wide, gamma: settings.gamma,
        bound: settings.gamma == nil
          ? bound : 2 * outputBound * high.squareRoot() * shrink),
      bits: numeratorBits)
    let root = try builder.open(
      inverseRoot, bits: min(max(Int(budget) - numerator.bits, 4), inverseRoot.bits))
    let product = try builder.emit(
      .multiply(numerator.id, root.id), bits: numerator.bits + root.bits,
      bound: outputBound * scale)
    return try shifted(index, product, by: settings.beta, scale: scale)
  }

  /// Fractional bits of a normalised value of 2^`size` that its readers take without a truncation:
  /// as many as matter, with a rotation above them where one follows. `precisionLoss` bits of half
  /// of them are lost to the range of the variance.
  private func wholeBudget(_ index: Int, size: Double, precisionLoss: Double) -> Double {
    let readers = consumers(of: index)
    let rotation = readers.contains(where: isRotary) ? Lowering.rotationBits + 1 : 0
    let room = 60 - Double(rotation) - size - log2(recipe.headroom)
    let most = min(room, 40 - size)
    // A residual sum has twice the usual bits: the rest would be truncated.
    let sum = Double(2 * bits)
    let isEnough = (sum + size) / 2 - precisionLoss >= 12
    return (readers.contains(where: isResidual) && isEnough ? min(sum, most) : most).rounded(.down)
  }

  /// Of rows that are nearly zero the root is precise to 2^-9: they stay small beside others, and
  /// models with such rows (reserved tokens, padding) have wide ranges.
  static let leastSteps = 0x1p8

  /// Fractional bits that all readers of node `index` can take without a truncation, where their
  /// weights have the recipe's or those that they need.
  private func consumerRooms(_ index: Int) throws(InputError) -> (least: Int, sufficient: Int) {
    var least = try ringBits(outputBound(index)) - bits
    var sufficient = least
    for consumer in consumers(of: index) {
      guard case .linear(_, let weight, _) = model.nodes[consumer].operation else { continue }
      let scale = queryScale(consumer)
      var bound = try outputBound(consumer) * scale
      if consumers(of: consumer).contains(where: isRotary) {
        bound *= pow(2, Double(Lowering.rotationBits))
      }
      var source = WeightFormula(tensor: weight, factor: scale)
      if case .layerNorm(_, let settings) = model.nodes[index].operation {
        source.columnScale = settings.gamma
      }
      if case .rmsNorm(_, let settings) = model.nodes[index].operation {
        source.columnScale = settings.gamma
      }
      least = min(least, ringBits(bound) - bits)
      sufficient = min(sufficient, ringBits(bound) - precision(source).sufficient)
    }
    return (least, sufficient)
  }

  func isRotary(_ index: Int) -> Bool {
    if case .rotary = model.nodes[index].operation { return true }
    return false
  }
}
