// Random instances of a comparison function with the keys of both parties.

import Rings
import TestSupport
import Testing

/// Alphas, betas, roots and keys of some comparisons, drawn from a fixed seed in this order.
struct ComparisonFixture {
  static let fixedKey = [UInt8](0..<16)

  let function: ComparisonFunction
  var layout: ComparisonKeyLayout { function.layout }
  let alphas: [UInt64]
  let betas: [UInt64]
  var roots: [[UInt64]]
  var keys: [UInt8]

  /// `alphas`: those to compare with, or nil for `count` random words.
  init(
    levels: Int, payload: Int, wordByteCount: Int = 8, count: Int, alphas: [UInt64]? = nil,
    seed: UInt64, parallel: Bool = false, arm: KernelArm = .best
  ) {
    var random = SplitMix(seed)
    let function = ComparisonFunction(
      fixedKey: Self.fixedKey,
      layout: ComparisonKeyLayout(
        levels: levels, payload: payload, wordByteCount: wordByteCount))
    let alphas = alphas ?? (0..<count).map { _ in random.next() }
    let betas = (0..<(count * payload)).map { _ in random.next() }
    let roots0 = (0..<(2 * count)).map { _ in random.next() }
    let roots1 = (0..<(2 * count)).map { _ in random.next() }
    var keys = [UInt8](repeating: 0xaa, count: count * function.keyByteCount)
    var span = keys.mutableSpan
    function.generate(
      alphas: alphas.span, betas: betas.span, roots0: roots0.span, roots1: roots1.span,
      into: &span, parallel: parallel, arm: arm)
    self.function = function
    self.alphas = alphas
    self.betas = betas
    self.roots = [roots0, roots1]
    self.keys = keys
  }

  /// The shares of one party at `points`, [keys, pointsPerKey].
  func shares(
    party: Int, points: [UInt64], pointsPerKey: Int = 1, parallel: Bool = false,
    arm: KernelArm = .best
  ) -> [UInt64] {
    let roots = roots[party]
    var result = [UInt64](repeating: 0xaa, count: points.count * layout.payload)
    var span = result.mutableSpan
    function.evaluate(
      party: party, keys: keys.span, roots: roots.span, pointsPerKey: pointsPerKey,
      points: points.span, into: &span, parallel: parallel, arm: arm)
    return result
  }

  /// The sum of both parties' shares.
  func values(
    points: [UInt64], pointsPerKey: Int = 1, parallel: Bool = false, arm: KernelArm = .best
  ) -> [UInt64] {
    let shares = (0..<2).map {
      self.shares(
        party: $0, points: points, pointsPerKey: pointsPerKey, parallel: parallel, arm: arm)
    }
    return sums(shares[0], shares[1])
  }

  /// The numbers that shares of both parties add up to.
  func sums(_ first: [UInt64], _ second: [UInt64]) -> [UInt64] {
    zip(first, second).map { ($0 &+ $1) & word }
  }

  /// The bits that a word of a value keeps.
  private var word: UInt64 { UInt64.max >> UInt64(64 - 8 * layout.wordByteCount) }

  /// beta where point < alpha, else 0, comparing the low `levels` bits.
  func expected(points: [UInt64], pointsPerKey: Int = 1) -> [UInt64] {
    let mask = (UInt64(1) << UInt64(layout.levels)) - 1
    return points.indices.flatMap { point in
      let key = point / pointsPerKey
      let isBelow = points[point] & mask < alphas[key] & mask
      return (0..<layout.payload).map { isBelow ? betas[key * layout.payload + $0] & word : 0 }
    }
  }
}
