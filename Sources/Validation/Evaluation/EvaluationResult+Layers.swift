// Where errors begin, and how near values come to an overflow.

/// A node whose error is much larger than that of everything it reads.
public struct ErrorGrowth: Equatable, Sendable {
  /// Index in `Model.nodes`.
  public var node: Int
  public var error: Double
  /// Largest relative error of the nodes that it reads.
  public var inputError: Double

  /// An error counts as grown when it is this many times that of every input ...
  public static let factor = 4.0
  /// ... and matters: about what ten bits leave.
  public static let level = 0x1p-10
}

extension EvaluationResult {
  /// The first node, in the order of evaluation, whose relative error has grown; nil for none.
  ///
  /// - Parameters:
  ///   - errors: By node.
  ///   - inputs: The nodes that each node reads.
  public static func firstGrowth(_ errors: [Double], inputs: [[Int]]) -> ErrorGrowth? {
    for (node, error) in errors.enumerated() {
      let before = inputs[node].reduce(0) { max($0, errors[$1]) }
      // Written so that an error that is not a number counts.
      if !(error < ErrorGrowth.level), !(error < ErrorGrowth.factor * before) {
        return ErrorGrowth(node: node, error: error, inputError: before)
      }
    }
    return nil
  }

  /// Bits that the largest of all values in the ring left below 2^62; negative after an overflow.
  public var headroom: Int { widths.reduce(BitWidthHistogram.limit) { min($0, $1.headroom) } }

  /// Largest share of inputs outside its valid range that a replacement saw.
  public var outsideShare: Double { functions.reduce(0) { max($0, $1.outsideShare) } }

  /// Relative increase of the perplexity over the original's; nil for an encoder, and for a stage
  /// that ran on a sample.
  public func perplexityIncrease(_ stage: Stage) -> Double? {
    guard stage != .secure, let own = logits[stage], let original = logits[.original] else {
      return nil
    }
    return own.perplexity / original.perplexity - 1
  }
}
