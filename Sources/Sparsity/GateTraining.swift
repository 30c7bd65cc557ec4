// Trains the gates of a layer on recorded activity: logistic, weighted by activation mass.

import Foundation
import Models

/// Minimises, over positions and blocks, m log(1 + exp(-s)) + t log(1 + exp(s)), m being the mass of
/// the block there over the mean mass, and s its score.
///
/// The best score is log(E[m | x] / t): at 0 a block is worth t, whichever it is, so one threshold
/// for all blocks opens the fewest gates for the mass that it keeps. Adam (Kingma & Ba 2014) from
/// seeded random matrices; t is moved to where the wanted share of mass is kept.
package struct GateTraining {
  static let batchRowCount = 128
  static let epochCount = 24
  /// Epochs after which t is moved.
  static let thresholdEpochs: Set<Int> = [4, 8, 12, 16]
  private static let rate: Float = 3e-3
  private static let decay: Float = 1e-2

  private let sample: GateSample
  private let rank: Int
  /// Of each input, over the sample.
  private var means: [Float] = []
  private var deviations: [Float] = []
  private var gate: LowRankGate
  private var random: SplitMixGenerator
  private var threshold: Float = 0.3

  /// - Parameter seed: with equal seeds and samples gates are equal.
  package init(_ sample: GateSample, rank: Int, seed: UInt64) {
    self.sample = sample
    self.rank = GateTraining.rank(
      rank, inputCount: sample.inputCount, blockCount: sample.blockCount)
    random = SplitMixGenerator(seed)
    gate = LowRankGate(low: [], high: [], bias: [])
    let inputs = sample.inputCount
    (means, deviations) = GateTraining.moments(sample)
    gate.low = normal(self.rank * inputs, deviation: 1 / Float(inputs).squareRoot())
    gate.high = normal(
      sample.blockCount * self.rank, deviation: 0.1 / Float(self.rank).squareRoot())
    gate.bias = [Float](repeating: 0, count: sample.blockCount)
  }

  /// The rank of a gate where `rank` is asked for.
  static func rank(_ rank: Int, inputCount: Int, blockCount: Int) -> Int {
    max(1, min(rank, inputCount, blockCount))
  }

  /// The trained gate. At a threshold of 0 it keeps about the share `mass` of the mass in the sample's
  /// blocks; the one that keeps the share on other text is for `ScoreThreshold` to find there.
  package mutating func run(mass share: Double) -> LowRankGate {
    let mean = sample.masses.reduce(0.0) { $0 + Double($1) } / Double(max(sample.masses.count, 1))
    guard mean > 0 else {
      return LowRankGate(
        low: [Float](repeating: 0, count: gate.low.count),
        high: [Float](repeating: 0, count: gate.high.count),
        bias: [Float](repeating: -1, count: gate.bias.count))
    }
    var optimisers = [gate.low, gate.high, gate.bias].map { Adam(count: $0.count) }
    let batches = (sample.rowCount + GateTraining.batchRowCount - 1) / GateTraining.batchRowCount
    var step = 0
    for epoch in 0..<GateTraining.epochCount {
      if GateTraining.thresholdEpochs.contains(epoch) { moveThreshold(mass: share) }
      let order = (0..<sample.rowCount).shuffled(using: &random)
      for batch in 0..<batches {
        let first = batch * GateTraining.batchRowCount
        let rows = order[first..<min(first + GateTraining.batchRowCount, order.count)]
        let gradients = gradients(rows, meanMass: Float(mean))
        let rate =
          GateTraining.rate * (1 - Float(step) / Float(GateTraining.epochCount * batches))
        optimisers[0].update(&gate.low, gradients.low, rate: rate, decay: GateTraining.decay)
        optimisers[1].update(&gate.high, gradients.high, rate: rate, decay: GateTraining.decay)
        optimisers[2].update(&gate.bias, gradients.bias, rate: rate, decay: 0)
        step += 1
      }
    }
    return unstandardised(gate)
  }

  /// Shifts scores so that a threshold of 0 keeps the share, and t with them.
  private mutating func moveThreshold(mass share: Double) {
    let current = unstandardised(gate)
    let shift = ScoreThreshold.keeping(
      share, scores: current.scores(sample.inputs, rowCount: sample.rowCount),
      masses: sample.masses)
    for block in gate.bias.indices { gate.bias[block] -= shift }
    threshold = min(max(threshold * exp(shift), 1e-3), 10)
  }

  private func gradients(_ rows: ArraySlice<Int>, meanMass: Float) -> LowRankGate {
    var (inputs, masses) = sample.rows(rows)
    let (count, width, blocks) = (rows.count, sample.inputCount, sample.blockCount)
    for index in inputs.indices {
      inputs[index] = (inputs[index] - means[index % width]) / deviations[index % width]
    }
    let inner = MatrixProduct.product(
      inputs, gate.low, transposingRight: true, rows: count, inner: width, columns: rank)
    var slopes = gate.scores(inner: inner, rowCount: count)
    let scale = 1 / Float(count)
    for index in slopes.indices {
      let open = 1 / (1 + exp(-slopes[index]))
      slopes[index] = (threshold * open - masses[index] / meanMass * (1 - open)) * scale
    }
    var bias = [Float](repeating: 0, count: blocks)
    for index in slopes.indices { bias[index % blocks] += slopes[index] }
    let high = MatrixProduct.product(
      slopes, inner, transposingLeft: true, rows: blocks, inner: count, columns: rank)
    let back = MatrixProduct.product(
      slopes, gate.high, rows: count, inner: blocks, columns: rank)
    let low = MatrixProduct.product(
      back, inputs, transposingLeft: true, rows: rank, inner: count, columns: width)
    return LowRankGate(low: low, high: high, bias: bias)
  }

  /// The same gate for inputs as they are.
  private func unstandardised(_ gate: LowRankGate) -> LowRankGate {
    var result = gate
    let width = sample.inputCount
    for index in result.low.indices { result.low[index] /= deviations[index % width] }
    let shift = MatrixProduct.product(
      means, result.low, transposingRight: true, rows: 1, inner: width, columns: rank)
    let moved = MatrixProduct.product(
      shift, gate.high, transposingRight: true, rows: 1, inner: rank, columns: gate.blockCount)
    for block in result.bias.indices { result.bias[block] -= moved[block] }
    return result
  }

  private static func moments(_ sample: GateSample) -> (means: [Float], deviations: [Float]) {
    let width = sample.inputCount
    var sums = [Double](repeating: 0, count: width)
    var squares = sums
    for (index, value) in sample.inputs.enumerated() {
      sums[index % width] += Double(value)
      squares[index % width] += Double(value) * Double(value)
    }
    let count = Double(max(sample.rowCount, 1))
    let means = sums.map { $0 / count }
    let deviations = zip(squares, means).map { square, mean in
      max(square / count - mean * mean, 0).squareRoot()
    }
    // An input that never changes says nothing, and must not divide by zero.
    let least = max((deviations.max() ?? 1) * 1e-4, 1e-12)
    return (means.map(Float.init), deviations.map { Float(max($0, least)) })
  }

  /// Normally distributed numbers (Box & Muller 1958).
  private mutating func normal(_ count: Int, deviation: Float) -> [Float] {
    (0..<count).map { _ in
      let radius = (-2 * log(1 - Double.random(in: 0..<1, using: &random))).squareRoot()
      return deviation * Float(radius * cos(2 * .pi * Double.random(in: 0..<1, using: &random)))
    }
  }
}
