// How a client shares its input rows and puts the output together.

import Randomness
import Sharing

/// Shares of a client's input: x_1 is drawn from a seed, x_0 = x - x_1 mod 2^64.
///
/// Party 1 receives the seed once and draws its share of every step; only x_0 travels.
enum InputShares {
  /// Party 1's share of step `step`, `count` ring elements.
  static func partyOneShare(seed: Seed, step: Int, count: Int) -> [UInt64] {
    let label = StreamLabel(
      session: 0, party: 1, operation: 0, kind: StreamKind.clientInput.rawValue, index: UInt32(step)
    )
    return RandomStream(seed: seed, label: label).words(at: 0, count: count)
  }

  /// Party 0's share of `words`.
  static func partyZeroShare(of words: [UInt64], seed: Seed, step: Int) -> [UInt64] {
    var result = partyOneShare(seed: seed, step: step, count: words.count)
    for index in result.indices { result[index] = words[index] &- result[index] }
    return result
  }
}
