// Permutations: each is one, all are equally likely, and they follow from the stream alone.

import Randomness
import TestSupport
import Testing

@Suite struct PermutationTests {
  static func sampler(_ index: Int) -> PermutationSampler {
    PermutationSampler(
      RandomStream(
        seed: Seed(bytes: (0..<32).map { UInt8($0 * 3) }),
        label: StreamLabel(session: 0, party: 0, operation: 0, kind: 5, index: UInt32(index))))
  }

  @Test(arguments: [0, 1, 2, 3, 64, 5000, 70_000])
  func everyElementOnce(count: Int) {
    var sampler = Self.sampler(count)
    let first = sampler.permutation(count: count)
    let second = sampler.permutation(count: count)
    #expect(first.sorted() == (0..<count).map { UInt32($0) })
    #expect(second.sorted() == first.sorted())
    if count > 3 { #expect(first != second) }
    var again = Self.sampler(count)
    #expect(again.permutation(count: count) == first)
    #expect(again.permutation(count: count) == second)
  }

  /// The words of the stream are used one a place, from the last place down.
  @Test func wordsOfTheStreamChoosePlaces() {
    let stream = RandomStream(
      seed: Seed(bytes: (0..<32).map { UInt8($0 * 3) }),
      label: StreamLabel(session: 0, party: 0, operation: 0, kind: 5, index: 9))
    var expected = (0..<200).map { UInt32($0) }
    for (word, place) in zip(stream.words(at: 0, count: 199), (1..<200).reversed()) {
      expected.swapAt(place, Int(word % UInt64(place + 1)))
    }
    var sampler = Self.sampler(9)
    #expect(sampler.permutation(count: 200) == expected)
  }

  /// Chi-square over many streams: of all 120 orders of five, and of where each of 16 comes to lie. The
  /// limits hold with probability 1 - 1e-7 for uniform permutations.
  @Test func allAreEquallyLikely() {
    let streamCount = 24_000
    var orders: [[UInt32]: Int] = [:]
    var places = [Int](repeating: 0, count: 256)
    for index in 0..<streamCount {
      var sampler = Self.sampler(index)
      orders[sampler.permutation(count: 5), default: 0] += 1
      for (place, element) in sampler.permutation(count: 16).enumerated() {
        places[16 * place + Int(element)] += 1
      }
    }
    #expect(orders.count == 120)
    func statistic(_ counts: some Sequence<Int>, expected: Double) -> Double {
      counts.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    }
    // 119 degrees of freedom, and 225 of a doubly stochastic table (times 16/15).
    #expect(statistic(orders.values, expected: 200) < 210)
    #expect(statistic(places, expected: 1500) * 15 / 16 < 348)
  }
}
