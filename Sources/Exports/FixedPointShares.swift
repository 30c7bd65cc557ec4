// Weights as two uniform shares of fixed-point integers modulo 2^64: what other programs' parties take.

import Bytes
public import Models
import Randomness

/// round(x 2^f) of every element x of a model's weights, split as (v - r, r) with uniform r mod 2^64.
///
/// r comes from a fresh seed, which no file holds; the same elements always get the same r.
public struct FixedPointShares: Sendable {
  public let fractionalBits: Int
  /// Weights of the graph, in its order.
  public let weights: [WeightShape]
  private let source: any WeightSource
  private let seed = Seed.random()
  private let memory: MemoryBudget

  /// - Parameter fractionalBits: f, 0 to 40.
  public init(
    of model: Model, _ source: any WeightSource, fractionalBits: Int,
    memory: MemoryBudget = .default
  ) {
    precondition((0...40).contains(fractionalBits), "as the tool asks for")
    self.fractionalBits = fractionalBits
    self.memory = memory
    self.source = source
    weights = model.weights
  }

  /// Bits of an integer beside its sign that a product with another still has room for.
  private var integerBits: Int { 62 - fractionalBits }

  /// Both parties' shares of the elements `elements` of weight `index`, row-major.
  /// - Throws: `InputError` where an element is not finite or reaches 2^(62 - f), naming the weight.
  func shares(of index: Int, in elements: Range<Int>) throws(InputError) -> [[UInt64]] {
    let name = weights[index].name
    let factor = Double(sign: .plus, exponent: fractionalBits, significand: 1)
    let limit = Double(sign: .plus, exponent: integerBits, significand: 1)
    let values = try source.weight(name, in: elements)
    let label = StreamLabel(
      session: 0, party: 1, operation: UInt32(index), kind: 0, index: 0)
    let masks = RandomStream(seed: seed, label: label)
      .words(at: elements.lowerBound, count: elements.count)
    var first = masks
    for index in values.indices {
      let value = Double(values[index])
      guard value.magnitude < limit else {
        throw InputError(
          name, place: "element \(elements.lowerBound + index)",
          value.isFinite ? "does not fit \(fractionalBits) fractional bits" : "is not finite")
      }
      let integer = (value * factor).rounded(.toNearestOrEven)
      first[index] = UInt64(bitPattern: Int64(integer)) &- masks[index]
    }
    return [first, masks]
  }

  /// Calls `body` with the shares of weight `index`, part by part from its beginning to its end.
  func forEachPart(
    of index: Int, _ elements: Range<Int>, _ body: ([[UInt64]]) throws(InputError) -> Void
  ) throws(InputError) {
    var start = elements.lowerBound
    while start < elements.upperBound {
      let part = start..<min(start + memory.weightPartElementCount, elements.upperBound)
      try body(shares(of: index, in: part))
      start = part.upperBound
    }
  }
}
