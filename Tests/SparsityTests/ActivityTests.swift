// Statistics of neurons: bounded, mergeable, and what blocks are made of.

import Sparsity
import TestSupport
import Testing

@Suite struct ActivityTests {
  /// Rows in which each neuron fires at random, [positions, neurons].
  private static func rows(_ positions: Int, _ neurons: Int, seed: UInt64) -> [Float] {
    var random = SplitMix(seed)
    return (0..<positions * neurons).map { _ in
      Int.random(in: 0..<4, using: &random) == 0 ? Float.random(in: -1...1, using: &random) : 0
    }
  }

  @Test func countsAreThoseOfAllPositions() {
    let (neurons, values) = (70, ActivityTests.rows(100, 70, seed: 1))
    var activity = Activity(neuronCount: neurons, capacity: 16)
    activity.add(values)
    for neuron in 0..<neurons {
      let expected = (0..<100).count { values[$0 * neurons + neuron] != 0 }
      #expect(activity.counts[neuron] == expected)
    }
    #expect(activity.positionCount == 100)
    #expect(activity.patternCount <= 16 && activity.patternCount > 8)
  }

  /// Parts that are added are the whole, whatever the parts: nothing was dropped here.
  @Test(arguments: [1, 37, 99]) func mergedPartsAreTheWhole(split: Int) {
    let (neurons, values) = (70, ActivityTests.rows(100, 70, seed: 2))
    var (whole, first, second) = (
      Activity(neuronCount: neurons), Activity(neuronCount: neurons), Activity(neuronCount: neurons)
    )
    whole.add(values)
    first.add(Array(values.prefix(split * neurons)))
    second.add(Array(values.dropFirst(split * neurons)))
    first.merge(second)
    #expect(first == whole)
  }

  @Test func mergingKeepsTheBound() {
    var (first, second) = (
      Activity(neuronCount: 8, capacity: 32), Activity(neuronCount: 8, capacity: 32)
    )
    first.add(ActivityTests.rows(20, 8, seed: 3))
    second.add(ActivityTests.rows(500, 8, seed: 4))
    first.merge(second)
    #expect(first.positionCount == 520)
    #expect(first.patternCount <= 32)
  }

  /// Six groups of four neurons that fire together, in an order that hides them; two never fire.
  @Test func blocksAreTheNeuronsThatFireTogether() {
    var random = SplitMix(5)
    let places = Array(0..<26).shuffled(using: &random)
    var activity = Activity(neuronCount: 26)
    for _ in 0..<200 {
      var row = [Float](repeating: 0, count: 26)
      for group in 0..<6 where Int.random(in: 0..<5, using: &random) == 0 {
        for member in 0..<4 where Int.random(in: 0..<10, using: &random) > 0 {
          row[places[4 * group + member]] = 1
        }
      }
      activity.add(row)
    }
    let blocks = activity.blocks(width: 4)
    #expect(blocks.count == 6)
    let found = Set((0..<6).map { Set(blocks.order[4 * $0..<4 * $0 + 4]) })
    let expected = Set((0..<6).map { Set(places[4 * $0..<4 * $0 + 4]) })
    #expect(found == expected)
  }

  /// What does not fill a block is the rarest.
  @Test func theRarestAreRemoved() {
    var activity = Activity(neuronCount: 7)
    for neuron in 0..<7 {
      for _ in 0..<neuron {
        activity.add((0..<7).map { $0 == neuron ? 1 : 0 })
      }
    }
    let blocks = activity.blocks(width: 4)
    #expect(blocks.order.sorted() == [3, 4, 5, 6])
  }
}
