// Comparison keys: right everywhere, equal on every arm, and silent about alpha and beta.

import Randomness
import Rings
import TestSupport
import Testing

@Suite struct ComparisonFunctionTests {
  @Test(arguments: 1...7, 1...3) func everyAlphaAndPoint(levels: Int, payload: Int) {
    let size = 1 << levels
    for wordByteCount in 1...8 {
      let fixture = ComparisonFixture(
        levels: levels, payload: payload, wordByteCount: wordByteCount, count: size,
        alphas: (0..<UInt64(size)).map { $0 }, seed: UInt64(levels * 4 + payload))
      let points = (0..<size).flatMap { _ in (0..<UInt64(size)).map { $0 } }
      for arm in KernelArm.available {
        #expect(
          fixture.values(points: points, pointsPerKey: size, arm: arm)
            == fixture.expected(points: points, pointsPerKey: size),
          "\(wordByteCount) bytes a word, \(arm)")
      }
    }
  }

  /// The layout takes as many places below its last nodes as make keys shortest.
  @Test(arguments: [
    (levels: 13, payload: 2, wordByteCount: 6, tailBits: 2, byteCount: 2 + 4 * 12 + 11 * 28),
    (9, 2, 2, 3, 1 + 8 * 4 + 6 * 20), (9, 1, 1, 5, 1 + 32 + 4 * 17),
    (18, 3, 8, 1, 3 + 2 * 24 + 17 * 40), (1, 1, 8, 0, 1 + 8 + 24), (2, 1, 1, 1, 1 + 2 + 17),
    (63, 1, 1, 5, 8 + 32 + 58 * 17),
  ])
  func layoutsAreTheShortest(
    levels: Int, payload: Int, wordByteCount: Int, tailBits: Int, byteCount: Int
  ) {
    let layout = ComparisonKeyLayout(
      levels: levels, payload: payload, wordByteCount: wordByteCount)
    #expect(layout.tailBits == tailBits && layout.byteCount == byteCount)
  }

  /// Three points a key: random, and alpha with 1, 0 or -1 added; among the alphas 0 and the
  /// largest.
  @Test(arguments: [7, 8, 16, 17, 31, 32, 33, 40, 63], 1...3)
  func randomAlphasAndTheirNeighbours(levels: Int, payload: Int) {
    let count = 77
    var random = SplitMix(9)
    var alphas = (0..<count).map { _ in random.next() >> UInt64(64 - levels) }
    alphas[0] = 0
    alphas[1] = (1 << UInt64(levels)) - 1
    alphas[2] = 1
    alphas[3] = 1 << UInt64(levels - 1)
    let fixture = ComparisonFixture(
      levels: levels, payload: payload, count: count, alphas: alphas, seed: 3)
    let points = alphas.enumerated().flatMap { index, alpha -> [UInt64] in
      [random.next(), alpha &+ UInt64(index % 3) &- 1, index % 2 == 0 ? 0 : .max]
    }
    for arm in KernelArm.available {
      #expect(
        fixture.values(points: points, pointsPerKey: 3, arm: arm)
          == fixture.expected(points: points, pointsPerKey: 3))
    }
  }

  /// SHA-256 of 21 keys, computed by an implementation in another language from the same paper.
  @Test(arguments: [
    (1, 1, 8, "e34e2a26ab6681cf54319c331bdbbefd863c2870b5fe90d26e1484ecb245f624"),
    (9, 2, 2, "c2ed20018e42b8894776018d99f7c601b2dd74f5147f03f0dae10a641b5865b5"),
    (13, 2, 6, "45a732f8331542d8f614ac2fb0b59a41f32c495ee5c8cc34556dad80b02abd3f"),
    (17, 2, 8, "512d9523a9bcba8dd5c03fd716563f2b14fbe77fac14d49b57097d3a94c0dd1b"),
    (32, 1, 8, "0f52f26b36d85a9e4e526fe48c522e16194790a05229b3eacf069c2ecd85e36e"),
    (40, 3, 5, "f9506746602b394a42725489b49bb15946b7338005abc14d58197a636054920c"),
    (63, 3, 8, "db7722b7c6f0fb752ac09bc02d68796f10340698a824befefc076c92f86e751e"),
  ])
  func keysEqualTheReference(levels: Int, payload: Int, wordByteCount: Int, digest: String) {
    for arm in KernelArm.available {
      let fixture = ComparisonFixture(
        levels: levels, payload: payload, wordByteCount: wordByteCount, count: 21,
        seed: UInt64(levels * 4 + payload), arm: arm)
      let hexadecimal = SHA256.digest(fixture.keys).map { byte in
        String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
      }
      #expect(hexadecimal.joined() == digest, "\(arm)")
    }
  }

  /// Around the number of instances in step (16 and 32) and of the parallel pieces (256, 1024).
  @Test(arguments: [0, 1, 15, 16, 17, 31, 32, 33, 255, 257, 600])
  func armsAndThreadsAgree(count: Int) {
    for (payload, wordByteCount) in [(1, 8), (2, 6), (2, 8), (3, 5), (3, 8)] {
      let reference = ComparisonFixture(
        levels: 13, payload: payload, wordByteCount: wordByteCount, count: count, seed: 7,
        arm: .portable)
      for pointsPerKey in [0, 1, 2, 5] {
        var random = SplitMix(11)
        let points = (0..<(count * pointsPerKey)).map { _ in random.next() }
        let shares = (0..<2).map {
          reference.shares(
            party: $0, points: points, pointsPerKey: pointsPerKey, arm: .portable)
        }
        #expect(
          reference.sums(shares[0], shares[1])
            == reference.expected(points: points, pointsPerKey: pointsPerKey))
        for arm in KernelArm.available {
          for parallel in [false, true] {
            let fixture = ComparisonFixture(
              levels: 13, payload: payload, wordByteCount: wordByteCount, count: count, seed: 7,
              parallel: parallel, arm: arm)
            #expect(fixture.keys == reference.keys)
            for party in 0..<2 {
              #expect(
                fixture.shares(
                  party: party, points: points, pointsPerKey: pointsPerKey, parallel: parallel,
                  arm: arm) == shares[party])
            }
          }
        }
      }
    }
  }

  @Test func manyPointsOnOneKey() {
    let fixture = ComparisonFixture(levels: 12, payload: 2, count: 1, seed: 21)
    let points = (0..<UInt64(4096)).map { $0 }
    #expect(
      fixture.values(points: points, pointsPerKey: 4096, parallel: true)
        == fixture.expected(points: points, pointsPerKey: 4096))
  }

  @Test func bitZeroOfARootIsIgnored() {
    var fixture = ComparisonFixture(levels: 16, payload: 1, count: 40, seed: 2)
    let points = fixture.alphas.map { $0 &- 1 }
    let shares = fixture.shares(party: 1, points: points)
    for index in stride(from: 0, to: 80, by: 2) { fixture.roots[1][index] ^= 1 }
    #expect(fixture.shares(party: 1, points: points) == shares)
  }

  @Test func aWrongRootOrKeyGivesAWrongResult() {
    let count = 64
    let fixture = ComparisonFixture(levels: 16, payload: 1, count: count, seed: 4)
    let points = fixture.alphas
    let right = fixture.expected(points: points)
    var wrongRoot = fixture
    for index in wrongRoot.roots[0].indices { wrongRoot.roots[0][index] ^= 1 << 63 }
    var wrongKey = fixture
    // The value of alpha's place is corrected by exactly one of the parties when x = alpha.
    let layout = fixture.layout
    let (leaves, valueByteCount) = ((layout.depth + 7) / 8, 8 * layout.payload)
    for (key, alpha) in fixture.alphas.enumerated() {
      let place = Int(alpha & (1 << UInt64(layout.tailBits) - 1))
      wrongKey.keys[key * layout.byteCount + leaves + place * valueByteCount + 7] ^= 0x80
    }
    for wrong in [wrongRoot.values(points: points), wrongKey.values(points: points)] {
      #expect(zip(wrong, right).allSatisfy { $0 != $1 })
    }
  }

  /// Keys and shares for one fixed alpha and beta look uniform byte by byte: the key material comes
  /// from the roots alone. Chi-square with 255 degrees of freedom: mean 255, deviation about 22.6.
  @Test(arguments: [0, 1, 0x2b3c, 0xffff] as [UInt64], 1...3)
  func keysAndSharesOfOnePartyLookUniform(alpha: UInt64, payload: Int) {
    let count = 4096
    let fixture = ComparisonFixture(
      levels: 16, payload: payload, count: count,
      alphas: [UInt64](repeating: alpha, count: count), seed: alpha &+ 100)
    let byteCount = fixture.layout.byteCount
    let depth = fixture.layout.depth
    let controlByteCount = (depth + 7) / 8
    var keyCounts = [Double](repeating: 0, count: 256)
    var controlCounts = [Double](repeating: 0, count: depth)
    for key in 0..<count {
      for byte in controlByteCount..<byteCount {
        keyCounts[Int(fixture.keys[key * byteCount + byte])] += 1
      }
      for bit in 0..<8 * controlByteCount {
        let isSet = fixture.keys[key * byteCount + bit / 8] >> UInt8(bit % 8) & 1
        if bit < depth { controlCounts[bit] += Double(isSet) } else { #expect(isSet == 0) }
      }
    }
    #expect((150...370).contains(chiSquare(keyCounts)))
    // A fair coin tossed 4096 times: deviation 32.
    #expect(controlCounts.allSatisfy { abs($0 - 2048) < 160 })
    for party in 0..<2 {
      for point in [0, alpha, 0xffff] {
        let points = [UInt64](repeating: point, count: count)
        var shareCounts = [Double](repeating: 0, count: 256)
        for share in fixture.shares(party: party, points: points) {
          for shift in stride(from: 0, to: 64, by: 8) {
            shareCounts[Int(share >> UInt64(shift) & 0xff)] += 1
          }
        }
        #expect((150...370).contains(chiSquare(shareCounts)))
      }
    }
  }

  private func chiSquare(_ counts: [Double]) -> Double {
    let expected = counts.reduce(0, +) / Double(counts.count)
    return counts.reduce(0) { $0 + ($1 - expected) * ($1 - expected) / expected }
  }
}
