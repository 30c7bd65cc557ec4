// Fits gates to a model that was not trained with any.

import Approximation
public import Bytes
public import Models

/// Activity statistics, blocks, and a predictor for each layer, on texts of which some are not
/// trained on.
public struct Sparsifier: Sendable {
  public struct Settings: Equatable, Sendable {
    /// Share of the activations' mass that gates are to keep.
    public var mass = 0.98
    /// Widths of blocks that are tried; each layer gets the one that compares least.
    public var blockWidths = [8, 16, 32]
    public var rank = 32
    public var seed: UInt64 = 1
    /// Positions that a layer's gate is trained on, at most.
    public var positionCount = 1 << 14

    public init() {}
  }

  /// What a file of gates can hold.
  static let largestBlockCount = 4096
  /// Share of what may be lost that thresholds leave for text unlike that which chose them.
  static let margin = 0.15

  private let interpreter: FloatInterpreter
  private let settings: Settings
  private let sites: [FeedForwardSite]

  /// - Throws: `InputError` for a model without feed-forward parts that gates fit, and where blocks
  ///   are wider than a layer.
  public init(_ interpreter: FloatInterpreter, settings: Settings) throws(InputError) {
    sites = interpreter.model.feedForwardSites
    guard let narrowest = sites.map(\.neuronCount).min() else {
      throw InputError(
        interpreter.model.family, "has no feed-forward part behind an attention in any layer")
    }
    let widest = sites.reduce(0) { max($0, $1.neuronCount) }
    var settings = settings
    settings.blockWidths = settings.blockWidths.filter {
      $0 <= narrowest && widest / $0 <= Sparsifier.largestBlockCount
    }
    self.interpreter = interpreter
    self.settings = settings
    guard !settings.blockWidths.isEmpty else {
      throw InputError(
        "--block-width",
        "layers have \(narrowest) to \(widest) neurons, and at most \(Sparsifier.largestBlockCount) "
          + "blocks")
    }
  }

  /// Fits all layers; with `heldOut` texts these judge, else some of `texts` that are not trained
  /// on.
  ///
  /// What `kept` holds is not fitted again, and what is fitted is kept there. `progress` is told how
  /// many evaluations of texts are done, and of how many.
  /// - Throws: `InputError` for too few texts, those that the model does not take, layers in which
  ///   nothing fires, and what `kept` cannot read or write.
  public func run(
    texts: [[Int]], heldOut: [[Int]], source: String, kept: KeptFits? = nil,
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(InputError) -> [SparsifiedLayer] {
    let parts = try TextParts(texts, heldOut: heldOut, source: source)
    let leastWidth = settings.blockWidths.min() ?? 1
    let groups = interpreter.sampleGroups(
      sites.map { (inputCount: $0.sourceWidth, blockCount: $0.neuronCount / leastWidth) },
      positionCount: parts.sampledCount(atMost: settings.positionCount))
    let passes = 1 + groups.count * settings.blockWidths.count
    var pass = 0
    func reach(_ done: Int, _ all: Int) {
      progress(pass * 1000 + 1000 * done / max(all, 1), passes * 1000)
    }
    let activity = try activity(on: parts.training, source: source, kept: kept, progress: reach)
    var layers: [SparsifiedLayer] = []
    for group in groups {
      var best: [Int: SparsifiedLayer] = [:]
      for width in settings.blockWidths {
        pass += 1
        let fits = try fits(
          group, width: width, activity, parts, source: source, kept: kept, progress: reach)
        for (index, fit) in fits {
          let layer = SparsifiedLayer(sites[index], activity[index], fit)
          if best[index].map(layer.isBetter) ?? true { best[index] = layer }
        }
      }
      for index in group {
        guard let layer = best[index] else {
          throw InputError(
            source, place: "layer \(sites[index].layer)",
            "fewer neurons fire on these texts than a block has")
        }
        layers.append(layer)
      }
    }
    return layers
  }

  /// Activity of every site.
  private func activity(
    on texts: [[Int]], source: String, kept: KeptFits?, progress: (Int, Int) -> Void
  ) throws(InputError) -> [Activity] {
    let positionCount = texts.reduce(0) { $0 + $1.count }
    var activity = sites.map { Activity(neuronCount: $0.neuronCount) }
    var places: [ModelValue: Int] = [:]
    for (index, site) in sites.enumerated() {
      if let known = try kept?.activity(of: site, positionCount: positionCount) {
        activity[index] = known
      } else {
        places[site.hidden] = index
      }
    }
    guard !places.isEmpty else { return activity }
    try interpreter.run(
      texts: texts, source: source,
      observe: { node, kind, values in
        if kind == .output, let index = places[node] { activity[index].add(values) }
      }, progress: progress)
    for index in places.values.sorted() { try kept?.keep(activity[index], of: sites[index]) }
    return activity
  }

  /// Fits of the sites of `group` in which a block of `width` neurons fires, by their indices.
  private func fits(
    _ group: [Int], width: Int, _ activity: [Activity], _ parts: TextParts, source: String,
    kept: KeptFits?, progress: (Int, Int) -> Void
  ) throws(InputError) -> [Int: BlockFit] {
    var fits: [Int: BlockFit] = [:]
    var (missing, blocks): ([Int], [NeuronBlocks]) = ([], [])
    for index in group {
      fits[index] = try kept?.fit(
        of: sites[index], width: width, activity[index], rank: settings.rank)
      guard fits[index] == nil else { continue }
      let found = activity[index].blocks(width: width)
      guard !found.order.isEmpty else { continue }
      missing.append(index)
      blocks.append(found)
    }
    guard !missing.isEmpty else { return fits }
    let samples = try sample(
      parts, group: missing, blocks: blocks, source: source, progress: progress)
    for (place, index) in missing.enumerated() {
      let fit = fit(sites[index], blocks[place], samples[place])
      try kept?.keep(fit, of: sites[index])
      fits[index] = fit
    }
    return fits
  }

  struct Samples {
    var training: GateSample
    var tuning: GateSample
    var judging: GateSample
  }

  private func sample(
    _ parts: TextParts, group: [Int], blocks: [NeuronBlocks], source: String,
    progress: (Int, Int) -> Void
  ) throws(InputError) -> [Samples] {
    let counts = parts.all.map(\.count)
    var done = 0
    var results: [[GateSample]] = []
    for list in parts.all {
      results.append(
        try sample(list, group: group, blocks: blocks, source: source) { part, all in
          progress(done * all + part * list.count, all * counts.reduce(0, +))
        })
      done += list.count
    }
    return group.indices.map {
      Samples(training: results[0][$0], tuning: results[1][$0], judging: results[2][$0])
    }
  }

  private func sample(
    _ texts: [[Int]], group: [Int], blocks: [NeuronBlocks], source: String,
    progress: (Int, Int) -> Void
  ) throws(InputError) -> [GateSample] {
    var samples = zip(group, blocks).map { index, blocks in
      GateSample(
        inputCount: sites[index].sourceWidth, blockCount: blocks.count,
        capacity: settings.positionCount)
    }
    let members = zip(group, blocks).map { index, blocks in
      blocks.blocks(neuronCount: sites[index].neuronCount)
    }
    try interpreter.observe(
      group.map { (source: sites[$0].source, value: sites[$0].hidden) }, texts: texts,
      source: source, progress: progress
    ) { place, read, hidden in
      samples[place].add(source: read, hidden: hidden, blocks: members[place])
    }
    return samples
  }

  private func fit(_ site: FeedForwardSite, _ blocks: NeuronBlocks, _ samples: Samples) -> BlockFit
  {
    var training = GateTraining(
      samples.training, rank: settings.rank, seed: settings.seed &+ UInt64(site.layer))
    var gate = training.run(mass: settings.mass)
    // The threshold is that of text which the gate has not seen: on its own it looks better. Its
    // mass outside the blocks is lost already.
    let tuning = samples.tuning
    let inside = tuning.masses.reduce(0.0) { $0 + Double($1) }
    let wanted = settings.mass + Sparsifier.margin * (1 - settings.mass)
    let threshold = ScoreThreshold.keeping(
      min(wanted * (inside + tuning.outsideMass) / max(inside, .leastNormalMagnitude), 1),
      scores: gate.scores(tuning.inputs, rowCount: tuning.rowCount), masses: tuning.masses)
    for block in gate.bias.indices { gate.bias[block] -= threshold }
    return BlockFit(
      blocks: blocks, gate: gate, quality: GateQuality(gate, samples.judging),
      curve: GateCurve(gate, samples.judging), picture: GatePicture(gate, samples.judging))
  }
}

extension GateQuality {
  package init(_ gate: LowRankGate, _ sample: GateSample) {
    let scores = gate.scores(sample.inputs, rowCount: sample.rowCount)
    var (active, open) = (0, 0)
    var (mass, keptMass, firing, keptFiring) = (0.0, 0.0, 0.0, 0.0)
    for (index, score) in scores.enumerated() {
      active += sample.firing[index] > 0 ? 1 : 0
      mass += Double(sample.masses[index])
      firing += Double(sample.firing[index])
      guard score >= 0 else { continue }
      open += 1
      keptMass += Double(sample.masses[index])
      keptFiring += Double(sample.firing[index])
    }
    let count = Double(max(scores.count, 1))
    let (allMass, allFiring) = (mass + sample.outsideMass, firing + sample.outsideFiring)
    activeShare = Double(active) / count
    openShare = Double(open) / count
    recall = allFiring > 0 ? keptFiring / allFiring : 1
    massKept = allMass > 0 ? keptMass / allMass : 1
    massRemoved = allMass > 0 ? sample.outsideMass / allMass : 0
    positionCount = sample.rowCount
  }
}
