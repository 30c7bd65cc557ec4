// Public factors: constants, and the attention scale, which its query takes in.

import Bytes
import Foundation
import Models

extension Lowering {
  /// `factor` * `value`, without communication unless the value must be truncated first.
  ///
  /// The factor keeps 16 significant bits, which come on top of the value's unless it is a power of
  /// two.
  mutating func scaled(_ value: FixedValue, by factor: Double, bound: Double) throws(InputError)
    -> FixedValue
  {
    if factor == 1 { return value }
    guard abs(factor) < 0x1p40 else {
      throw InputError("lowering", place: builder.label, "\(factor) is too large a factor")
    }
    let room = ringBits(bound)
    let narrow = activationBits(value)
    // A power of two only moves the point. Large factors are integers of the same scale, and tiny
    // ones keep what the ring has room for.
    let exponent = factor == 0 ? 0 : Int(factor.exponent)
    let isPower = abs(factor).significand == 1
    let extraBits = min(
      max((isPower ? 0 : Lowering.factorBits) - exponent, 0), max(room - narrow, 0))
    let integer = (factor * pow(2, Double(extraBits))).rounded()
    let input =
      value.bits + extraBits > room
      ? try builder.rescale(value, to: min(value.bits, max(room - extraBits, narrow))) : value
    return try builder.emit(
      .combine([Term(input.id, Int(integer))], constant: 0), bits: input.bits + extraBits,
      bound: bound)
  }

  /// Bits after the leading one of a factor.
  private static let factorBits = 16

  /// The query of an attention node with its scale.
  mutating func scaledQuery(_ query: Int, _ settings: AttentionSettings) throws(InputError)
    -> FixedValue
  {
    let value = try plain(query)
    if takesScale(query) { return value }
    return try scaled(value, by: settings.scale, bound: value.bound * settings.scale)
  }

  /// The attention scale, where node `index` is what its query is computed from and takes it in;
  /// else 1.
  func queryScale(_ index: Int) -> Double {
    let consumers = consumers(of: index)
    guard consumers.count == 1, takesScale(index) else { return 1 }
    switch model.nodes[consumers[0]].operation {
    case .attention(let query, _, _, let settings) where query == index: return settings.scale
    case .rotary: return queryScale(consumers[0])
    default: return 1
    }
  }

  /// Whether node `index` can be multiplied by the attention scale on the way, and nothing but one
  /// query reads it.
  private func takesScale(_ index: Int) -> Bool {
    let node = model.nodes[index]
    let consumers = consumers(of: index)
    guard consumers.count == 1 else { return false }
    if case .attention(_, let key, let value, _) = model.nodes[consumers[0]].operation,
      key == index || value == index
    {
      return false
    }
    switch node.operation {
    case .linear, .layerNorm, .rmsNorm, .scale: return true
    case .rotary(let input, _, _): return takesScale(input)
    default: return false
    }
  }
}
