// Activations: piecewise polynomials whose result the next operation can take.

import Approximation
import Bytes
import Foundation
import Models

extension Lowering {
  /// `function` of `input`, the value that node `index` reads.
  ///
  /// Lines alone and cells that are looked up take one round. Polynomials up to degree 4 take one
  /// more where the reader has room for the fractional bits that they come with, else two; higher
  /// degrees take two more.
  mutating func activation(_ index: Int, _ input: FixedValue, _ function: PiecewisePolynomial)
    throws(InputError) -> FixedValue
  {
    let domain = -input.bound...input.bound
    let largest = function.bound(on: domain)
    let bound = largest * 1.01 + min(0x1p-8, largest)
    let room = try outputRoom(index, bound: bound)
    let valueBits = activationBits(bound: bound)
    let reader = try streamRing(index, bits: valueBits, bound: bound).map {
      (ringBits: $0, valueBits: valueBits)
    }
    if let result = try lookup(input, function, bound: bound, room: room, reader: reader) {
      return result
    }
    let parts = try pieces(
      input, function, on: domain, lineBits: room,
      ringBits: try streamRing(index, bits: activationBits(input), bound: bound))
    var sum = parts.lines
    func adding(_ value: FixedValue) throws(InputError) -> FixedValue {
      guard let lines = sum else { return value }
      return try builder.add(lines, value, bound: bound)
    }
    for piece in parts.curved where piece.degree > 4 {
      sum = try adding(splitPolynomial(piece))
    }
    let short = parts.curved.filter { $0.degree <= 4 }
    guard !short.isEmpty else { return sum ?? input }
    let reach = short.reduce(0) { $0 + $1.reach } * 1.01
    // Without a truncation an argument must keep 12 fractional bits, or it would be too coarse.
    // Small values need more of both.
    let isDirect = short.allSatisfy { piece in
      (room - 2) / piece.degree - piece.exponent >= 12
        && (bound > 0.5 || (fixedPoint(piece, resultBits: room)?.error ?? 0) <= bound * 0x1p-14)
    }
    let resultBits = min(
      isDirect ? room : 62, 61 - PieceLayout.integerBits(max(reach, isDirect ? bound : 0)))
    var total: FixedValue?
    for piece in short {
      var value = try polynomial(piece, resultBits: resultBits)
      if let old = total { value = try builder.add(old, value, bound: reach) }
      total = value
    }
    guard var total else { return sum ?? input }
    if total.bits > room {
      let precise = max(2 * bits, activationBits(bound: bound))
      total = try builder.rescale(total, to: min(room, precise))
    }
    return try adding(total)
  }

  /// Modulo which power of two the linear layer behind node `index` reads a value up to `bound`
  /// with `bits` fractional bits, where it adds to the narrow residual stream.
  func streamRing(_ index: Int, bits valueBits: Int, bound: Double) throws(InputError) -> Int? {
    guard let reader = streamReader(of: index),
      case .linear(_, let weight, _) = model.nodes[reader].operation
    else { return nil }
    // It drops what is more than it takes of a value.
    let weightBits = weightBits(
      reader, precision(WeightFormula(tensor: weight)), bound: try outputBound(reader)
    )(min(valueBits, activationBits(bound: bound)))
    return try streamRoom(of: reader) + max(2 * bits, valueBits + weightBits)
  }

  /// The fractional bits that all readers of node `index` can take without a truncation, for a
  /// value up to `bound`.
  private func outputRoom(_ index: Int, bound: Double) throws(InputError) -> Int {
    var room = 61 - PieceLayout.integerBits(bound)
    for consumer in readers(of: index) {
      switch model.nodes[consumer].operation {
      case .linear:
        let consumerBound = try outputBound(consumer) * queryScale(consumer)
        room = min(room, 61 - bits - PieceLayout.integerBits(consumerBound))
      case .multiply: break
      default: room = min(room, 2 * bits)
      }
    }
    return max(room, 2 * bits)
  }
}
