// The end of a model: one row of a text, and caps of its output.

import Approximation
import Bytes
import Models

extension Lowering {
  /// One row of all rows of `value`, without communication unless the mean has no room for 1 /
  /// rows.
  mutating func pool(_ value: FixedValue, _ pooling: RowPooling, bound: Double) throws(InputError)
    -> FixedValue
  {
    switch pooling {
    case .first:
      return try builder.emit(.firstRow(value.id), bits: value.bits, bound: value.bound)
    case .mean:
      // 1 / rows with as many significant bits as weights have, for texts of any length.
      let wanted = bits + PieceLayout.integerBits(Double(model.maximumPositions))
      func room(_ value: FixedValue) -> Int { ringBits(bound) - value.bits }
      let input = room(value) < wanted - 4 ? try truncated(value) : value
      let factorBits = max(min(wanted, room(input)), 1)
      return try builder.emit(
        .meanRow(input.id, fractionalBits: factorBits), bits: input.bits + factorBits,
        bound: bound)
    }
  }

  /// cap * tanh(x / cap): left to whoever reads the output where it comes last.
  mutating func softCap(_ index: Int, _ input: ModelValue, _ cap: Double) throws(InputError)
    -> FixedValue
  {
    let value = try plain(input)
    guard index == model.nodes.count - 1 else {
      return try softCapped(value, recipe.softCap(cap, at: model.nodes[index]))
    }
    builder.program.output.softCap = cap
    return value
  }
}
