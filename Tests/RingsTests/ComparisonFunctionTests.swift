// Comparison keys: right everywhere, equal on every arm, and silent about alpha and beta.

import Randomness
import Rings
import TestSupport
import Testing

@Suite struct ComparisonFunctionTests {
  @Test(arguments: 1...6, 1...3) func everyAlphaAndPoint(levels: Int, payload: Int) {
    let size = 1 << levels
    let fixture = ComparisonFixture(
      levels: levels, payload: payload, count: size, alphas: (0..<UInt64(size)).map { $0 },
      seed: UInt64(levels * 4 + payload))
    let points = (0..<size).flatMap { _ in (0..<UInt64(size)).map { $0 } }
    for arm in KernelArm.available {
      #expect(
        fixture.values(points: points, pointsPerKey: size, arm: arm)
          == fixture.expected(points: points, pointsPerKey: size))
    }
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
    (1, 1, "9b2fee25a8dd39e3b0055b383cd74b5b92b37c08b5fde4803c23e48fddafeff4"),
    (17, 2, "c47af685edaff9d658a3b9713a8f9fd8fada070110d3a48d4ccaf789695457dc"),
    (32, 1, "ec98adaff2d22d4020cf68b27e4d767e797a4ade703c824c1429b3ad30e7ba41"),
    (40, 3, "eecf7140d2ffb2d2e3f18d5b3bf4f78f6ebe8ddba31c782789eee485adc1c472"),
    (63, 3, "141c69babc574e87f2dd98ebf3d96410cf9c260ababb3fb5fe6a5206f0153f13"),
  ])
  func keysEqualTheReference(levels: Int, payload: Int, digest: String) {
    for arm in KernelArm.available {
      let fixture = ComparisonFixture(
        levels: levels, payload: payload, count: 21, seed: UInt64(levels * 4 + payload), arm: arm)
      #expect(fixture.function.keyByteCount == 8 + levels * (16 + 8 * payload) + 8 * payload)
      let hexadecimal = SHA256.digest(fixture.keys).map { byte in
        String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
      }
      #expect(hexadecimal.joined() == digest, "\(arm)")
    }
  }

  /// Around the number of instances in step (16 and 32) and of the parallel pieces (256, 1024).
  @Test(arguments: [0, 1, 15, 16, 17, 31, 32, 33, 255, 257, 600])
  func armsAndThreadsAgree(count: Int) {
    for payload in 1...3 {
      let reference = ComparisonFixture(
        levels: 13, payload: payload, count: count, seed: 7, arm: .portable)
      for pointsPerKey in [0, 1, 2, 5] {
        var random = SplitMix(11)
        let points = (0..<(count * pointsPerKey)).map { _ in random.next() }
        let shares = (0..<2).map {
          reference.shares(
            party: $0, points: points, pointsPerKey: pointsPerKey, arm: .portable)
        }
        #expect(
          zip(shares[0], shares[1]).map { $0 &+ $1 }
            == reference.expected(points: points, pointsPerKey: pointsPerKey))
        for arm in KernelArm.available {
          for parallel in [false, true] {
            let fixture = ComparisonFixture(
              levels: 13, payload: payload, count: count, seed: 7, parallel: parallel, arm: arm)
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
    // The leaf correction is applied by exactly one of the parties when x = alpha.
    for key in 1...count { wrongKey.keys[key * fixture.function.keyByteCount - 1] ^= 0x80 }
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
    let byteCount = fixture.function.keyByteCount
    var keyCounts = [Double](repeating: 0, count: 256)
    var controlCounts = [Double](repeating: 0, count: 16)
    for key in 0..<count {
      for byte in 8..<byteCount { keyCounts[Int(fixture.keys[key * byteCount + byte])] += 1 }
      for bit in 0..<16 {
        controlCounts[bit] += Double(fixture.keys[key * byteCount + bit / 8] >> UInt8(bit % 8) & 1)
      }
      #expect(fixture.keys[(key * byteCount + 2)..<(key * byteCount + 8)].allSatisfy { $0 == 0 })
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
