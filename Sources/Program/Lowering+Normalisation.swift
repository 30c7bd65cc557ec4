// LayerNorm and RMSNorm with the exact variance and a table for its inverse square root.

import Approximation
import Bytes
import Foundation
import Models

extension Lowering {
  /// (x - mean) / sqrt(variance + epsilon), or x / sqrt(mean square + epsilon) where it is not
  /// centred; gamma and beta are left to the consumers.
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
    let seen = try calibration.range(node.name, .variance)
    let headroom = recipe.headroom
    let low = max(seen.lowerBound, 1e-9) / headroom
    let high = max(seen.upperBound, 2e-9) * headroom

    // Bits of y and of the inverse root: equal relative precision at the ends of their ranges,
    // with a product that the following layers can take without a truncation.
    var consumerBound = try outputBound(index)
    for consumer in consumers(of: index) {
      if case .linear = model.nodes[consumer].operation {
        var bound = try outputBound(consumer) * queryScale(consumer)
        if consumers(of: consumer).contains(where: isRotary) {
          bound *= pow(2, Double(Lowering.rotationBits))
        }
        consumerBound = max(consumerBound, bound)
      }
    }
    let room = 61 - bits - Int(log2(consumerBound).rounded(.up))
    let fitsDirectly = room >= 2 * bits - 2
    let budget = Double(fitsDirectly ? min(room, 40) : 40)
    let lowRoot = log2(low.squareRoot() * shrink)
    let highRoot = log2(high.squareRoot() * shrink)
    let precision = (budget + lowRoot - highRoot) / 2
    var centredBits = Int((precision - lowRoot).rounded())
    // The sum of squares n * y^2 must fit.
    let sumBits = Int(log2(width * shrink * shrink * high).rounded(.up))
    centredBits = min(centredBits, (61 - sumBits) / 2, x.bits + widthBits)

    let bound = min(2 * x.bound, (width * high).squareRoot()) * shrink
    var input = x
    while !builder.fits(bits: input.bits + widthBits, bound: bound) {
      input = try builder.rescale(x, to: input.bits - 4)
    }
    var wide = input
    if isCentred {
      let sum = try builder.emit(.sum(input.id, runs: 1), bits: [input.bits])[0]
      wide = try builder.emit(
        .combine([Term(input.id, node.width), Term(sum, -1)], constant: 0),
        bits: input.bits + widthBits, bound: bound)
    }
    let centred = try builder.open(wide, bits: centredBits)
    let squares = try builder.emit(
      .polynomial(centred.id, coefficients: [[0, 0, 1]]), bits: 2 * centred.bits,
      bound: width * shrink * shrink * high)
    let total = try builder.emit(
      .sum(squares.id, runs: 1), bits: 2 * centred.bits, bound: squares.bound)

    let unit = 1 / (width * shrink * shrink * pow(2, Double(2 * centred.bits)))
    let inverseRoot = try builder.table(
      total, unit: unit, range: low...high, tolerance: recipe.tableTolerance
    ) { 1 / (shrink * ($0 + epsilon).squareRoot()) }
    let rootBits = min(max(Int(budget) - centred.bits, 4), inverseRoot.bits)
    let root = try builder.open(inverseRoot, bits: rootBits)
    let product = try builder.emit(
      .multiply(centred.id, root.id), bits: centred.bits + root.bits,
      bound: width.squareRoot() * 2)
    return fitsDirectly ? product : try builder.rescale(product, to: bits)
  }

  private func isRotary(_ index: Int) -> Bool {
    if case .rotary = model.nodes[index].operation { return true }
    return false
  }
}
