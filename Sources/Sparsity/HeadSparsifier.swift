// Fits gates of attention heads to a model that was not trained with any.

import Approximation
public import Bytes
public import Models

/// Predictors of each head's share of what attention adds, and a threshold for all of them.
///
/// The mass of head h at a position is |W_h z_h| / sum over heads, z_h what the head mixes and W_h its
/// columns of the output projection. Gates read what the feed-forward part of the layer before reads.
public struct HeadSparsifier: Sendable {
  private let interpreter: FloatInterpreter
  private let settings: Sparsifier.Settings
  private let sites: [HeadSite]
  /// Of each site and head W_h^T W_h, row-major [headWidth, headWidth].
  private let squares: [[[Float]]]

  /// - Parameter weights: Those of the interpreter's model.
  /// - Throws: `InputError` for a model of which no layer's heads can be skipped, which says why, and
  ///   where a weight cannot be read.
  public init(
    _ interpreter: FloatInterpreter, weights: some WeightSource, settings: Sparsifier.Settings
  ) throws(InputError) {
    let model = interpreter.model
    let layers = Set(model.nodes.compactMap(\.layer)).sorted()
    sites = layers.compactMap(model.headSite)
    guard !sites.isEmpty else {
      let reason = layers.last.flatMap(model.reasonAgainstHeadGates)
      throw InputError(
        model.family, "heads of no layer can be skipped: \(reason ?? "it has no layers")",
        hint: "leave --heads out")
    }
    var squares: [[[Float]]] = []
    for site in sites {
      guard case .linear(_, let name, _) = model.nodes[site.output].operation else {
        throw InputError(
          model.family, place: "layer \(site.layer)", "its heads have gates already",
          hint: "take the checkpoint without these gates")
      }
      let width = model.nodes[site.attention].width
      let outputs = model.nodes[site.output].width
      let weight = try weights.weight(name)
      let headWidth = width / site.headCount
      squares.append(
        (0..<site.headCount).map { head in
          var columns: [Float] = []
          columns.reserveCapacity(outputs * headWidth)
          for row in 0..<outputs {
            let start = row * width + head * headWidth
            columns += weight[start..<start + headWidth]
          }
          return MatrixProduct.product(
            columns, columns, transposingLeft: true, rows: headWidth, inner: outputs,
            columns: headWidth)
        })
    }
    self.squares = squares
    self.interpreter = interpreter
    self.settings = settings
  }

  /// Fits all layers, as `Sparsifier.run` does.
  /// - Throws: `InputError` for too few texts, those that the model does not take, and what `kept`
  ///   cannot read or write.
  public func run(
    texts: [[Int]], heldOut: [[Int]], source: String, kept: KeptFits? = nil,
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(InputError) -> [SparsifiedHeads] {
    let parts = try TextParts(texts, heldOut: heldOut, source: source)
    let keyCount = parts.judging.reduce(0) { $0 + $1.count * ($1.count + 1) / 2 }
    let positions = parts.judging.reduce(0) { $0 + $1.count }
    let groups = interpreter.sampleGroups(
      sites.map { (inputCount: $0.sourceWidth, blockCount: $0.headCount) },
      positionCount: parts.sampledCount(atMost: settings.positionCount))
    let keys = Double(keyCount) / Double(max(positions, 1))
    var result: [Int: SparsifiedHeads] = [:]
    for (number, group) in groups.enumerated() {
      var missing: [Int] = []
      for index in group {
        let known = try kept?.heads(of: sites[index], rank: settings.rank)
        result[index] = known.map { heads(index, $0.gate, $0.quality, keyCount: keys) }
        if known == nil { missing.append(index) }
      }
      guard !missing.isEmpty else { continue }
      var samples: [[GateSample]] = []
      for (part, list) in parts.all.enumerated() {
        let pass = number * parts.all.count + part
        samples.append(
          try sample(list, group: missing, source: source) {
            progress(pass * 1000 + 1000 * $0 / max($1, 1), groups.count * parts.all.count * 1000)
          })
      }
      for (place, index) in missing.enumerated() {
        let fit = fit(
          index,
          Sparsifier.Samples(
            training: samples[0][place], tuning: samples[1][place], judging: samples[2][place]))
        let heads = heads(index, fit.gate, fit.quality, keyCount: keys)
        try kept?.keep(heads)
        result[index] = heads
      }
    }
    return sites.indices.compactMap { result[$0] }
  }

  private func sample(
    _ texts: [[Int]], group: [Int], source: String, progress: (Int, Int) -> Void
  ) throws(InputError) -> [GateSample] {
    var samples = group.map {
      GateSample(
        inputCount: sites[$0].sourceWidth, blockCount: sites[$0].headCount,
        capacity: settings.positionCount)
    }
    try interpreter.observe(
      group.map { (source: sites[$0].source, value: sites[$0].attention) }, texts: texts,
      source: source, progress: progress
    ) { place, read, mixed in
      samples[place].add(source: read, masses: masses(mixed, group[place]))
    }
    return samples
  }

  /// Each head's share, row-major [rows, heads], of what site `index` mixes.
  private func masses(_ mixed: [Float], _ index: Int) -> [Float] {
    let heads = sites[index].headCount
    let width = interpreter.model.nodes[sites[index].attention].width
    let (headWidth, rows) = (width / heads, mixed.count / width)
    var result = [Float](repeating: 0, count: rows * heads)
    for head in 0..<heads {
      var values: [Float] = []
      values.reserveCapacity(rows * headWidth)
      for row in 0..<rows {
        let start = row * width + head * headWidth
        values += mixed[start..<start + headWidth]
      }
      let products = MatrixProduct.product(
        values, squares[index][head], rows: rows, inner: headWidth, columns: headWidth)
      for row in 0..<rows {
        var square: Float = 0
        for place in row * headWidth..<(row + 1) * headWidth {
          square += values[place] * products[place]
        }
        result[row * heads + head] = max(square, 0).squareRoot()
      }
    }
    for row in 0..<rows {
      let places = row * heads..<(row + 1) * heads
      var sum: Float = 0
      for place in places { sum += result[place] }
      guard sum > 0 else { continue }
      for place in places { result[place] /= sum }
    }
    return result
  }

  private func fit(_ index: Int, _ samples: Sparsifier.Samples) -> (
    gate: LowRankGate, quality: GateQuality
  ) {
    var training = GateTraining(
      samples.training, rank: settings.rank,
      seed: settings.seed &+ UInt64(sites[index].layer))
    var gate = training.run(mass: settings.mass)
    let tuning = samples.tuning
    let threshold = ScoreThreshold.keeping(
      settings.mass + Sparsifier.margin * (1 - settings.mass),
      scores: gate.scores(tuning.inputs, rowCount: tuning.rowCount), masses: tuning.masses)
    for head in gate.bias.indices { gate.bias[head] -= threshold }
    return (gate, GateQuality(gate, samples.judging))
  }

  private func heads(
    _ index: Int, _ gate: LowRankGate, _ quality: GateQuality, keyCount: Double
  ) -> SparsifiedHeads {
    let site = sites[index]
    return SparsifiedHeads(
      site: site, headWidth: interpreter.model.nodes[site.attention].width / site.headCount,
      gate: gate, quality: quality, keyCount: keyCount)
  }
}
