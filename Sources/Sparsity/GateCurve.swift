// What a gate would do at other thresholds, and what it does block by block, on held-out text.

/// Recall and mass kept against the share of gates that are open, ascending.
public struct GateCurve: Equatable, Sendable {
  public struct Point: Equatable, Sendable {
    public var openShare: Double
    public var recall: Double
    public var massKept: Double
  }

  public let points: [Point]

  init(points: [Point] = []) { self.points = points }

  /// The gates with the highest scores open, in `pointCount` steps from none to all of them.
  package init(_ gate: LowRankGate, _ sample: GateSample, pointCount: Int = 64) {
    let scores = gate.scores(sample.inputs, rowCount: sample.rowCount)
    let order = scores.indices.sorted { scores[$0] > scores[$1] }
    let mass = sample.masses.reduce(sample.outsideMass) { $0 + Double($1) }
    let firing = sample.firing.reduce(sample.outsideFiring) { $0 + Double($1) }
    var (keptMass, keptFiring, place) = (0.0, 0.0, 0)
    var points: [Point] = []
    for step in 0...pointCount {
      // Most of a curve happens where few gates are open.
      let share = Double(step) / Double(pointCount)
      let end = Int((Double(order.count) * share * share).rounded())
      for index in order[place..<end] {
        keptMass += Double(sample.masses[index])
        keptFiring += Double(sample.firing[index])
      }
      place = end
      points.append(
        Point(
          openShare: Double(end) / Double(max(order.count, 1)),
          recall: firing > 0 ? keptFiring / firing : 1, massKept: mass > 0 ? keptMass / mass : 1))
    }
    self.init(points: points)
  }
}

/// Blocks by positions of held-out text: which have neurons that fire, and which gates are open.
public struct GatePicture: Equatable, Sendable {
  /// What a gate did: a letter each in `rows`.
  public enum Cell: Character, CaseIterable, Sendable {
    case shut = "."
    /// Computed, and some neuron fires.
    case open = "o"
    /// Not computed although some neuron fires.
    case missed = "m"
    /// Computed for nothing.
    case idle = "i"
  }

  /// A position each, a letter for each of the first blocks.
  public let rows: [String]

  /// Positions and blocks that are drawn, at most.
  static let positionCount = 96
  static let blockCount = 128

  init(rows: [String] = []) { self.rows = rows }

  package init(_ gate: LowRankGate, _ sample: GateSample) {
    let (positionCount, blockCount) = (GatePicture.positionCount, GatePicture.blockCount)
    let rowCount = min(positionCount, sample.rowCount)
    let inputs = Array(sample.inputs[..<(rowCount * sample.inputCount)])
    let scores = gate.scores(inputs, rowCount: rowCount)
    rows = (0..<rowCount).map { row in
      String(
        (0..<min(blockCount, sample.blockCount)).map { block in
          let index = row * sample.blockCount + block
          let cell: Cell =
            switch (sample.firing[index] > 0, scores[index] >= 0) {
            case (false, false): .shut
            case (true, true): .open
            case (true, false): .missed
            case (false, true): .idle
            }
          return cell.rawValue
        })
    }
  }
}
