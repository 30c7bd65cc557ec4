// Many points of one key in one walk: bit for bit the shares of points evaluated one by one.

import Rings
import TestSupport
import Testing

@Suite struct ComparisonWalkTests {
  /// Around the number of points from which on keys are walked (32 and 64), of the nodes in step, of
  /// points walked to together (256) and of parallel pieces (1024).
  static let counts = [1, 2, 31, 32, 33, 63, 64, 65, 127, 256, 257, 555, 1030]

  /// Points as knots give them, X - knot modulo 2^levels with garbage above, and what spoils their
  /// order: repeated, at both ends of the ring, in no order, and one point over and over.
  enum Order: CaseIterable { case knots, repeated, ends, random, same }

  private func points(_ order: Order, count: Int, levels: Int, random: inout SplitMix) -> [UInt64] {
    let mask = UInt64.max >> UInt64(64 - levels)
    let opened = random.next()
    var knots = (0..<count).map { _ in random.next() >> (random.next() % 63) & mask }.sorted()
    switch order {
    case .knots: break
    case .repeated: for index in knots.indices { knots[index] = knots[index / 3 * 3] }
    case .ends:
      for index in knots.indices { knots[index] = opened &- (index < count / 2 ? 0 : mask) }
    case .random: knots = knots.map { _ in random.next() }
    case .same: knots = knots.map { _ in 5 }
    }
    return knots.map { (opened &- $0) ^ (random.next() & ~mask) }
  }

  /// The same points of the same keys with a copy of the key for every point, by the plain C arm.
  private func oneByOne(_ fixture: ComparisonFixture, party: Int, points: [UInt64]) -> [UInt64] {
    let byteCount = fixture.function.keyByteCount
    let pointsPerKey = points.count / fixture.alphas.count
    var copies = fixture
    copies.keys = fixture.alphas.indices.flatMap { key in
      (0..<pointsPerKey).flatMap { _ in fixture.keys[key * byteCount..<(key + 1) * byteCount] }
    }
    copies.roots[party] = fixture.alphas.indices.flatMap { key in
      (0..<pointsPerKey).flatMap { _ in fixture.roots[party][2 * key..<2 * key + 2] }
    }
    return copies.shares(party: party, points: points, arm: .portable)
  }

  @Test(arguments: counts, Order.allCases) func sharesAreThoseOfSinglePoints(
    count: Int, order: Order
  ) {
    for (payload, levels, wordByteCount) in [
      (1, 1, 8), (1, 24, 2), (2, 9, 6), (2, 63, 8), (3, 31, 5), (3, 62, 8), (2, 13, 1),
    ] {
      let seed = UInt64(count * 1000 + levels * 10 + payload)
      let fixture = ComparisonFixture(
        levels: levels, payload: payload, wordByteCount: wordByteCount, count: 2, seed: seed)
      var random = SplitMix(seed)
      var points = (0..<2).flatMap { _ in
        self.points(order, count: count, levels: levels, random: &random)
      }
      // Right below and at alpha, where a wrong turn shows in the values.
      points[count / 2] = fixture.alphas[0]
      points[count - 1] = fixture.alphas[0] &- 1
      let single = (0..<2).map { oneByOne(fixture, party: $0, points: points) }
      #expect(
        fixture.sums(single[0], single[1])
          == fixture.expected(points: points, pointsPerKey: count), "seed \(seed)")
      for arm in KernelArm.available {
        for (party, parallel) in [(0, false), (1, true)] {
          let together = fixture.shares(
            party: party, points: points, pointsPerKey: count, parallel: parallel, arm: arm)
          #expect(
            together == single[party],
            "seed \(seed), \(levels) levels, payload \(payload), party \(party), \(arm)")
        }
      }
    }
  }

  @Test(arguments: [5, 6, 8, 10]) func everyPoint(levels: Int) {
    let size = 1 << levels
    let fixture = ComparisonFixture(
      levels: levels, payload: 3, count: 3, alphas: [0, UInt64(size) - 1, 11], seed: 5)
    for rotation in [0, 1, 7, size - 1] {
      let points = (0..<3).flatMap { _ in (0..<size).map { UInt64(($0 + rotation) % size) } }
      for arm in KernelArm.available {
        #expect(
          fixture.values(points: points, pointsPerKey: size, arm: arm)
            == fixture.expected(points: points, pointsPerKey: size), "\(rotation), \(arm)")
      }
    }
  }
}
