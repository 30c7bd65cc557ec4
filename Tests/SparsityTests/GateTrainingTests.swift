// Gates of low rank: planted ones are found, thresholds keep what they say, seeds decide.

import Sparsity
import TestSupport
import Testing

@Suite struct GateTrainingTests {
  static let (inputs, blocks, rank, width) = (12, 10, 2, 2)

  /// Rows of inputs, the last of which never changes, and of neurons that fire where a planted gate
  /// of rank 2 is open.
  private static func sample(rows: Int, seed: UInt64) -> GateSample {
    var planted = SplitMix(77)
    func numbers(_ count: Int, _ random: inout SplitMix) -> [Float] {
      (0..<count).map { _ in Float.random(in: -1...1, using: &random) }
    }
    let (low, high) = (numbers(rank * inputs, &planted), numbers(blocks * rank, &planted))
    var random = SplitMix(seed)
    var (source, hidden): ([Float], [Float]) = ([], [])
    for _ in 0..<rows {
      var x = numbers(inputs, &random)
      x[inputs - 1] = 3
      source += x
      for block in 0..<blocks {
        var score: Float = -0.2
        for part in 0..<rank {
          let inner = (0..<inputs - 1).reduce(Float(0)) { $0 + low[part * inputs + $1] * x[$1] }
          score += high[block * rank + part] * inner
        }
        hidden += [max(score, 0), -max(score, 0) / 2]
      }
      // One neuron in no block.
      hidden.append(0.01)
    }
    var sample = GateSample(inputCount: inputs, blockCount: blocks, capacity: rows)
    sample.add(
      source: source, hidden: hidden,
      blocks: (0..<blocks * width).map { $0 / width } + [nil])
    return sample
  }

  @Test func aPlantedGateIsFound() {
    var training = GateTraining(GateTrainingTests.sample(rows: 2000, seed: 1), rank: 4, seed: 1)
    var gate = training.run(mass: 0.98)
    let other = GateTrainingTests.sample(rows: 500, seed: 2)
    let third = GateTrainingTests.sample(rows: 500, seed: 3)
    let threshold = ScoreThreshold.keeping(
      0.98, scores: gate.scores(third.inputs, rowCount: third.rowCount), masses: third.masses)
    for block in gate.bias.indices { gate.bias[block] -= threshold }
    let quality = GateQuality(gate, other)
    #expect(gate.rank == 4 && gate.inputCount == 12 && gate.blockCount == 10)
    #expect(quality.activeShare > 0.2 && quality.activeShare < 0.5)
    // As many gates as there is something behind, and nearly all of the mass.
    #expect(quality.openShare < 1.1 * quality.activeShare, "\(quality)")
    #expect(quality.massKept > 0.97 && quality.recall > 0.8, "\(quality)")
    #expect(quality.massRemoved > 0 && quality.massKept + quality.massRemoved < 1.0001)
    #expect(gate.low.allSatisfy(\.isFinite) && gate.bias.allSatisfy(\.isFinite))
  }

  @Test func equalSeedsGiveEqualGates() {
    let sample = GateTrainingTests.sample(rows: 300, seed: 3)
    func gate(_ seed: UInt64) -> LowRankGate {
      var training = GateTraining(sample, rank: 2, seed: seed)
      return training.run(mass: 0.9)
    }
    #expect(gate(5) == gate(5))
    #expect(gate(5) != gate(6))
  }

  /// With nothing to keep all gates are closed.
  @Test func silentBlocksStayClosed() {
    var sample = GateSample(inputCount: 2, blockCount: 3, capacity: 8)
    sample.add(
      source: [1, 2, 3, 4], hidden: [Float](repeating: 0, count: 6), blocks: [0, 1, 2])
    var training = GateTraining(sample, rank: 1, seed: 1)
    #expect(GateQuality(training.run(mass: 0.98), sample).openShare == 0)
  }

  @Test(arguments: [0.5, 0.9, 0.98, 1])
  func theThresholdKeepsTheShareAndLiesOnNoScore(share: Double) {
    var random = SplitMix(9)
    let scores = (0..<200).map { _ in Float.random(in: -3...3, using: &random) }
    let masses = (0..<200).map { $0 % 3 == 0 ? Float.random(in: 0...1, using: &random) : 0 }
    let threshold = ScoreThreshold.keeping(share, scores: scores, masses: masses)
    let all = masses.reduce(0, +)
    func kept(_ isOpen: (Float) -> Bool) -> Float {
      zip(scores, masses).reduce(0) { $0 + (isOpen($1.0) ? $1.1 : 0) }
    }
    #expect(kept { $0 >= threshold } >= Float(share) * all * 0.9999)
    // Nor does it open more than the lowest score above it needs, or lie on any.
    let lowest = scores.filter { $0 >= threshold }.min() ?? 0
    #expect(kept { $0 > lowest } < Float(share) * all)
    #expect(share == 1 || !scores.contains(threshold))
  }

  /// A sample that is full keeps every other row, and of what it keeps all parts.
  @Test func samplesAreBounded() {
    var sample = GateSample(inputCount: 1, blockCount: 1, capacity: 4)
    for value in 0..<11 {
      sample.add(source: [Float(value)], hidden: [Float(value), 1], blocks: [0, nil])
    }
    #expect(sample.inputs == [0, 4, 8])
    #expect(sample.masses == [0, 4, 8] && sample.firing == [0, 1, 1])
    #expect(sample.outsideMass == 3 && sample.outsideFiring == 3)
  }
}
