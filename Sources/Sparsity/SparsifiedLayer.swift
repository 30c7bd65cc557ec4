// What became of a layer: its gate, what it costs and saves, or why it has none.

/// Gates of a layer and how they did on text that they were not trained on.
public struct SparsifiedLayer: Equatable, Sendable {
  public var site: FeedForwardSite
  /// Of the training text: share of neurons that fire at a position, neurons that never fire, and
  /// neurons that fire at 95 % of the positions or more.
  public var density: Double
  public var neverFiringCount: Int
  public var alwaysFiringCount: Int
  /// The neurons that fire at some position of the training text, ascending.
  public var firing: [Int]
  /// The neurons that gates decide about, in blocks.
  public var blocks: NeuronBlocks
  public var gate: LowRankGate
  public var quality: GateQuality
  public var curve = GateCurve()
  public var picture = GatePicture()
  /// What the gate saves over a network, where that was weighed.
  public var saving: GateSaving?

  /// Why the layer has no gate; nil where it has one.
  public var reason: String? { cost.reason ?? saving?.reason }

  /// What is written of the layer: gates with an order, an order alone, or nothing.
  public var isGated: Bool { reason == nil }
  /// The neurons that stay: those of the blocks, and without a gate all that ever fire.
  public var kept: [Int] { kept(isGated: isGated) }
  func kept(isGated: Bool) -> [Int] { isGated ? blocks.order : firing }
  public var removedCount: Int { site.neuronCount - kept.count }
}

/// A gate over some blocks of a layer, and how it did.
struct BlockFit {
  var blocks: NeuronBlocks
  var gate: LowRankGate
  var quality: GateQuality
  var curve: GateCurve
  var picture: GatePicture
}

extension SparsifiedLayer {
  /// A neuron counts as always firing from this share of the positions on.
  private static let alwaysShare = 0.95

  init(_ site: FeedForwardSite, _ activity: Activity, _ fit: BlockFit) {
    let positions = Double(max(activity.positionCount, 1))
    self.init(
      site: site, density: activity.density,
      neverFiringCount: activity.counts.count { $0 == 0 },
      alwaysFiringCount: activity.counts.count {
        Double($0) >= SparsifiedLayer.alwaysShare * positions
      },
      firing: activity.counts.indices.filter { activity.counts[$0] > 0 }, blocks: fit.blocks,
      gate: fit.gate, quality: fit.quality, curve: fit.curve, picture: fit.picture)
  }
}

/// What gates do, measured on held-out text.
public struct GateQuality: Equatable, Sendable {
  /// Share of the blocks in which some neuron fires.
  public var activeShare = 0.0
  /// Share of the gates that are open.
  public var openShare = 0.0
  /// Share of the neurons that fire which are computed.
  public var recall = 1.0
  /// Share of the sum of magnitudes of activations which is computed.
  public var massKept = 1.0
  /// What of it the removed neurons would have had.
  public var massRemoved = 0.0
  public var positionCount = 0
}

/// Counts for one position: what gates take and what they save.
public struct GateCost: Equatable, Sendable {
  /// Multiplications of the gate, and of those that the feed-forward part has without it.
  public var gateProducts: Int
  public var denseProducts: Int
  /// Comparisons: one for each gate, and one for each neuron without gates.
  public var gateComparisons: Int
  public var denseComparisons: Int
  /// Numbers that are opened for the gates (the low-rank product, scores and bits), and for the
  /// neurons without gates (inputs of activations and of the down-projection).
  public var gateOpenings: Int
  public var denseOpenings: Int
  /// Share of the neurons that is computed.
  public var computedShare: Double

  /// A gate may cost this share of what it saves.
  public static let limit = 0.15

  init(_ site: FeedForwardSite, blocks: NeuronBlocks, rank: Int, openShare: Double) {
    gateProducts = rank * (site.sourceWidth + blocks.count)
    denseProducts = site.matrixCount * site.width * site.neuronCount
    gateComparisons = blocks.count
    denseComparisons = site.neuronCount
    gateOpenings = rank + 2 * blocks.count
    denseOpenings = 2 * site.neuronCount
    computedShare =
      openShare * Double(blocks.order.count) / Double(max(site.neuronCount, 1))
  }

  /// Comparisons with the gate, on average.
  public var comparisons: Double {
    Double(gateComparisons) + computedShare * Double(denseComparisons)
  }

  /// What the gate costs over what it saves, by products, by comparisons and by openings.
  public var shares: (products: Double, comparisons: Double, openings: Double) {
    func share(_ cost: Int, _ dense: Int) -> Double {
      let saved = Double(dense) * (1 - computedShare)
      return saved > 0 ? Double(cost) / saved : .infinity
    }
    return (
      share(gateProducts, denseProducts), share(gateComparisons, denseComparisons),
      share(gateOpenings, denseOpenings)
    )
  }

  /// Why the gate does not pay whatever the network is, which has no part in multiplications; nil
  /// where it may.
  var reason: String? {
    guard computedShare < 1 else { return "all gates are open" }
    let share = shares.products
    guard share >= GateCost.limit else { return nil }
    return
      "the gate costs \(Int((100 * min(share, 100)).rounded())) % of the multiplications that it "
      + "saves (most: \(Int(100 * GateCost.limit)) %)"
  }
}

extension SparsifiedLayer {
  /// Whether this pays and the other does not, or else it takes fewer comparisons: those of gates
  /// and of the neurons that are computed.
  func isBetter(than other: SparsifiedLayer) -> Bool {
    guard isGated == other.isGated else { return isGated }
    return cost.comparisons < other.cost.comparisons
  }

  public var cost: GateCost {
    GateCost(site, blocks: blocks, rank: gate.rank, openShare: quality.openShare)
  }
}
