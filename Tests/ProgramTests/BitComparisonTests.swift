// The circuit that compares by bits, its sizes, and the rule that chooses it.

import Program
import Testing

struct BitComparisonTests {
  /// Sizes counted by hand from the definition of gates.
  @Test(
    arguments: [
      // levels, rounds, thresholds, opened bits of each round, products
      (1, 1, 1, [1], 0), (4, 1, 15, [1], 0), (5, 2, 16, [2, 1], 1), (8, 2, 30, [2, 1], 1),
      (12, 2, 45, [4, 1], 5), (16, 2, 60, [6, 1], 15), (19, 3, 67, [6, 2, 1], 16),
      (31, 3, 112, [13, 2, 1], 38), (32, 3, 120, [13, 2, 1], 38), (63, 3, 232, [27, 6, 1], 96),
    ])
  func sizes(levels: Int, rounds: Int, thresholds: Int, opened: [Int], products: Int) {
    let circuit = BitComparison(levels: levels)
    #expect(circuit.roundCount == rounds)
    #expect(circuit.thresholdCount == thresholds)
    #expect((0..<rounds).map { circuit.openedBitCount(round: $0) } == opened)
    #expect(circuit.maskCount == opened.reduce(0, +))
    #expect(circuit.productCount == products)
    #expect(circuit.planeCount(knots: 3) == thresholds + 1 + 3 * products)
  }

  /// On plain bits, all pairs of six-bit numbers and borders of long ones.
  @Test(arguments: [1, 2, 3, 4, 5, 6, 17, 30, 45, 63])
  func circuitCompares(levels: Int) {
    let circuit = BitComparison(levels: levels)
    let largest = UInt64.max >> UInt64(64 - levels)
    var numbers = Array(0...min(largest, 63)) + [largest, largest - min(largest, 1)]
    numbers += (0..<levels).flatMap { [1 << UInt64($0), largest ^ (1 << UInt64($0))] }
    for u in numbers {
      for v in numbers {
        // (g, p) of each item.
        var items = circuit.blocks.map { block in
          let keep = UInt64.max >> UInt64(64 - block.count)
          let (a, b) = (
            (u >> UInt64(block.lowerBound)) & keep, (v >> UInt64(block.lowerBound)) & keep
          )
          return [a < b, a == b]
        }
        for level in circuit.gates {
          items = level.map { gate in
            guard gate.items.count > 1 else { return items[gate.items.lowerBound] }
            let values = gate.variables.map { items[$0.item][$0.isPropagate ? 1 : 0] }
            func holds(_ term: Int) -> Bool {
              values.indices.allSatisfy { term >> $0 & 1 == 0 || values[$0] }
            }
            let generated = gate.generateTerms.filter(holds).count
            let highest = items[gate.items.upperBound - 1][0]
            return [
              (generated + (highest ? 1 : 0)) % 2 == 1, gate.propagateTerm.map(holds) ?? false,
            ]
          }
        }
        #expect(items.count == 1 && items[0][0] == (u < v), "\(u) < \(v)")
      }
    }
  }

  /// Bits are taken where they are a quarter of a key's bytes: not for a table with many knots.
  @Test func tablesKeepTheirKey() {
    func function(knots: Int) -> PiecewiseLinear {
      PiecewiseLinear(
        shift: 4, droppedBits: 0, comparedBits: 32, knots: Array(0..<knots),
        outputs: [
          .init(
            slopes: [Int](repeating: 1, count: knots + 1),
            intercepts: [Int](repeating: 1, count: knots + 1), fractionalBits: 0)
        ])
    }
    // A key has 8 + 31 * 40 + 24 bytes in both files, and three words; bits take 113 and 38 a knot,
    // and three words a knot.
    let most = (0...100).last { 4 * ((113 + 38 * Double($0)) / 8 + 24 * Double($0)) <= 2568 }
    #expect(most == 21)
    for knots in [1, 2, 21] {
      #expect(function(knots: knots).comparing(preferring: .bits).comparison == .bits)
      #expect(function(knots: knots).comparing(preferring: .keys).comparison == .keys)
    }
    #expect(function(knots: 22).comparing(preferring: .bits).comparison == .keys)
  }
}
