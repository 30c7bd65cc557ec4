// Where the dealer reads the weights that it multiplies: its bundle, or memory in tests.

public import Bytes
public import Program
public import Sharing

/// The weights of `linear` and `scale`, read part by part when they are needed.
public protocol MultipliedWeights: Sendable {
  /// Every element of weight `id` is a signed integer of so many bits: 16, 32 or 64.
  func elementBits(_ id: WeightID) throws(InputError) -> Int

  /// Elements `range` of weight `id`, counted row-major, as ring elements.
  func elements(_ id: WeightID, in range: Range<Int>) throws(InputError) -> [UInt64]
}

extension DealerBundle: MultipliedWeights {}

/// All weights in memory, indexed as `SecureProgram.weights`; those that are not multiplied may be
/// empty.
extension [[UInt64]]: MultipliedWeights {
  public func elementBits(_ id: WeightID) -> Int { 64 }

  public func elements(_ id: WeightID, in range: Range<Int>) throws(InputError) -> [UInt64] {
    guard indices.contains(id), range.upperBound <= self[id].count else {
      throw InputError("dealer", place: "weights/\(id)", "the dealer has no such weight")
    }
    return [UInt64](self[id][range])
  }
}
