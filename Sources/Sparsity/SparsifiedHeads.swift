// What became of a layer's heads: their gates, what these cost and save, or why there are none.

public import Models

/// Gates of the heads of a layer and how they did on text that they were not trained on.
public struct SparsifiedHeads: Equatable, Sendable {
  public var site: HeadSite
  public var headWidth: Int
  public var gate: LowRankGate
  public var quality: GateQuality
  /// Keys of a position of the held-out texts, on average.
  public var keyCount: Double

  /// What the gates save over a network, where that was weighed.
  public var saving: GateSaving?

  public var isGated: Bool { reason == nil }

  /// Exponentials of a position that all heads take, and comparisons of its gates.
  public var exponentials: Double { Double(site.headCount) * keyCount }

  /// Numbers of a position that all heads open: queries, mixes twice, scores and weights.
  public var denseOpenings: Double {
    Double(site.headCount) * (3 * Double(headWidth) + 2 * keyCount)
  }

  /// The same for the gates: the low-rank product, scores and bits.
  public var gateOpenings: Double { Double(gate.rank + 2 * site.headCount) }

  /// What the gates cost over what they save, by opened numbers.
  public var openingShare: Double {
    let saved = denseOpenings * (1 - quality.openShare)
    return saved > 0 ? gateOpenings / saved : .infinity
  }

  /// Why the gates do not pay; nil where they do.
  public var reason: String? {
    // What is dealt for a session has some spare beyond its mean.
    guard quality.openShare <= 1 - GateCost.limit else { return "nearly all heads are needed" }
    return saving?.reason
  }
}
