// LayerNorm and RMSNorm: with the exact variance and a table for its inverse square root, or
// affine.

import Approximation
import Bytes
import Foundation
import Models

extension Lowering {
  /// The normalisation of `x` by `form`; gamma and beta are left to the consumers, and of an affine
  /// one everything is.
  mutating func normalise(
    _ index: Int, _ x: FixedValue, form: NormalisationForm, gamma: String, beta: String?,
    isCentred: Bool, epsilon: Double
  ) throws(InputError) -> LoweredValue {
    switch form {
    case .exact:
      let value = try normalise(index, x, isCentred: isCentred, epsilon: epsilon)
      return .normalised(value, PendingNormalisation(gamma: gamma, beta: beta))
    case .affine(let factor):
      return .normalised(
        x,
        PendingNormalisation(gamma: gamma, beta: beta, factor: factor, isCentred: isCentred))
    }
  }

  /// What is pending of node `index`, carried out: for consumers that are not linear.
  mutating func materialise(_ index: Int, _ x: FixedValue, _ pending: PendingNormalisation)
    throws(InputError) -> FixedValue
  {
    let name = model.nodes[index].name
    let width = model.nodes[index].width
    let bound = try outputBound(index)
    var value = x
    var factor = pending.factor
    if pending.isCentred {
      let centred = try self.centred(x, width: width, bound: 2 * x.bound)
      value = centred.value
      factor /= centred.shrink
    }
    let source = WeightFormula(tensor: pending.gamma, factor: factor)
    let precision = self.precision(source, factor: factor)
    // Small factors need more bits; a little less than all of them saves a truncation.
    let wanted = precision.wanted
    var room = ringBits(bound) - value.bits
    if room < min(wanted, bits + 4) - 4 || room < precision.needed {
      value = try builder.rescale(value, to: ringBits(bound) - wanted)
      room = wanted
    }
    let scale = builder.weight(
      ProgramWeight(
        name: "\(name).scale", rowCount: 1, columnCount: width,
        fractionalBits: min(wanted, room), source: source))
    let scaled = try builder.emit(
      .scale(builder.open(value).id, weight: scale), bits: value.bits + min(wanted, room),
      bound: bound)
    guard let beta = pending.beta else { return scaled }
    return try addBias(
      scaled, name: "\(name).shift", source: WeightFormula(tensor: beta), width: width)
  }

  /// (x - mean) * shrink with log2(width) more fractional bits, exactly: n x - sum(x) = n (x -
  /// mean), shrink = n / 2^(rounded log2 n) in 0.5 ... 1.
  mutating func centred(_ x: FixedValue, width: Int, bound: Double) throws(InputError) -> (
    value: FixedValue, shrink: Double
  ) {
    let widthBits = Int(log2(Double(width)).rounded(.up))
    let shrink = Double(width) / pow(2, Double(widthBits))
    var input = x
    while !builder.fits(bits: input.bits + widthBits, bound: bound * shrink) {
      input = try builder.rescale(x, to: input.bits - 4)
    }
    let sum = try builder.emit(.sum(input.id, runs: 1), bits: [input.bits])[0]
    let value = try builder.emit(
      .combine([Term(input.id, width), Term(sum, -1)], constant: 0),
      bits: input.bits + widthBits, bound: bound * shrink)
    return (value, shrink)
  }

  /// (x - mean) / sqrt(variance + epsilon), or x / sqrt(mean square + epsilon) where it is not
  /// centred.
  ///
  /// Centring is exact: n x - sum(x) = n (x - mean). Normalisation does not care for the factor,
  /// which the table takes back.
  mutating func normalise(_ index: Int, _ x: FixedValue, isCentred: Bool, epsilon: Double)
    throws(InputError) -> FixedValue
  {
    let node = model.nodes[index]
    let width = Double(node.width)
    // y = (x - mean) * n / 2^widthBits, or x.
    let widthBits = isCentred ? Int(log2(width).rounded(.up)) : 0
    let shrink = isCentred ? width / pow(2, Double(widthBits)) : 1
    // Of the variance plus epsilon, which is what the root is taken of.
    let range = try calibration.normalisedRange(
      node.name, epsilon: epsilon, headroom: recipe.headroom)
    let (low, high) = (range.lowerBound, range.upperBound)

    // Bits of y and of the inverse root: equal relative precision at the ends of their ranges,
    // with a product that the following layers can take without a truncation.
    let rooms = try consumerRooms(index)
    // More bits for weights may take some of those here, but no further truncation.
    let fitsDirectly = rooms.least >= 2 * bits - 2
    let room = fitsDirectly ? max(rooms.sufficient, 2 * bits - 2) : rooms.sufficient
    let budget = Double(fitsDirectly ? min(room, 40) : 40)
    let lowRoot = log2(low.squareRoot() * shrink)
    let highRoot = log2(high.squareRoot() * shrink)
    let precision = (budget + lowRoot - highRoot) / 2
    var centredBits = Int((precision - lowRoot).rounded())
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
      wide = try self.centred(x, width: node.width, bound: bound / shrink).value
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
      .sum(squares.id, runs: 1), bits: 2 * centred.bits, bound: squares.bound)

    let unit = 1 / (width * shrink * shrink * pow(2, Double(2 * centred.bits)))
    let inverseRoot = try builder.table(
      total, unit: unit, offset: epsilon, range: range, tolerance: recipe.tableTolerance
    ) { 1 / (shrink * $0.squareRoot()) }
    let rootBits = min(max(Int(budget) - centred.bits, 4), inverseRoot.bits)
    let root = try builder.open(inverseRoot, bits: rootBits)
    let product = try builder.emit(
      .multiply(centred.id, root.id), bits: centred.bits + root.bits,
      bound: width.squareRoot() * 2)
    return fitsDirectly ? product : try builder.rescale(product, to: bits)
  }

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

  private func isRotary(_ index: Int) -> Bool {
    if case .rotary = model.nodes[index].operation { return true }
    return false
  }
}
