// Embeddings: the rows of one-hot tokens, or rows that a client holds, and positions.

import Approximation
import Bytes
import Foundation
import Models

extension Lowering {
  mutating func embed(
    _ index: Int, tokens: String, positions: String?, offset: Int, segments: String?
  ) throws(InputError) -> FixedValue {
    if let table = calibration.statistics(of: tokens), table.largest == 0 {
      throw InputError(
        "lowering", place: tokens, "every row is zero: the model tells no token from another",
        hint: "look how the checkpoint was made; a tensor of zeros is often one that was never "
          + "loaded, trained or gathered from its parts")
    }
    let bound = try outputBound(index)
    let width = model.nodes[index].width
    let rowBits = try embeddingBits(index, tokens: tokens, bound: bound)
    if recipe.embedding == .client {
      return builder.input(width: width, bits: rowBits, bound: bound)
    }
    let oneHot = builder.input(width: model.vocabularySize, bits: 0, bound: 1)
    // Without a table of positions the segment's row is added to that of the token.
    let table = builder.weight(
      ProgramWeight(
        name: tokens, rowCount: model.vocabularySize, columnCount: width, fractionalBits: rowBits,
        isTransposed: true,
        source: WeightFormula(
          tensor: tokens, isCentred: stream.centred.contains(index),
          addedRow: positions == nil ? segments : nil)))
    // Adding is local: positions may have more bits than the rows that they are added to.
    let positionSource = positions.map {
      WeightFormula(tensor: $0, isCentred: stream.centred.contains(index), addedRow: segments)
    }
    let sumBits = max(rowBits, positionSource.map { min(precision($0).sufficient, 2 * bits) } ?? 0)
    // A row is a sum of one: it needs no more of the ring than its readers do.
    let opened =
      stream.narrow.contains(index)
      ? try builder.openNarrow(
        oneHot, bits: 0, ringBits: min(try room(from: index) + rowBits, 64))
      : try builder.open(oneHot)
    let rows = try builder.emit(.linear(opened.id, weight: table), bits: rowBits, bound: bound)
    guard let positions, let positionSource else { return rows }
    let wide = try builder.rescale(rows, to: sumBits)
    let positionTable = builder.weight(
      ProgramWeight(
        name: positions, rowCount: weightShape(positions)[0], columnCount: width,
        fractionalBits: wide.bits, source: positionSource))
    return try builder.emit(
      .addWeight(wide.id, weight: positionTable, rows: .positions(offset: offset)),
      bits: wide.bits, bound: bound)
  }

  /// Fractional bits of the rows of the token table: those that the table needs, and those that its
  /// smallest rows need where a normalisation makes them large.
  private func embeddingBits(_ index: Int, tokens: String, bound: Double) throws(InputError) -> Int
  {
    var result = precision(WeightFormula(tensor: tokens)).sufficient
    for consumer in consumers(of: index) {
      let node = model.nodes[consumer]
      switch node.operation {
      case .layerNorm(_, let settings), .rmsNorm(_, let settings):
        guard calibration.ranges[node.name]?[.variance] != nil else { break }
        let range = try calibration.normalisedRange(
          node.name, epsilon: settings.epsilon, headroom: varianceHeadroom)
        let smallest = WeightStatistics(
          largest: bound, rootMeanSquare: range.lowerBound.squareRoot())
        guard smallest.roundingError(fractionalBits: result) > Lowering.roundingLimit else { break }
        result = max(result, 12 - Int(log2(smallest.rootMeanSquare).rounded(.down)))
      default: break
      }
    }
    guard recipe.embedding == .client else {
      return max(bits, min(result, ringBits(bound), 2 * bits))
    }
    // A client holds tables of 32-bit words.
    let room = 30 - magnitudeBits(bound)
    guard room >= precision(WeightFormula(tensor: tokens)).least else {
      throw InputError(
        "lowering", place: model.nodes[index].name,
        "rows up to \(Float(bound)) do not fit the 32-bit words of a client's table",
        hint: "keep the table secret (--embedding secret)")
    }
    return min(max(bits, min(result, 2 * bits)), room)
  }
}
