// Which gates a dealer opens by chance, so that patterns of running blocks tell less.

import Randomness

/// The dealer's draws of one session.
public struct SessionNoise: Sendable {
  private let seed: Seed
  private let session: UInt32

  init(seed: Seed, session: Int) {
    self.seed = seed
    self.session = UInt32(session)
  }

  /// 0 for the elements at `ranges` of node `node` that count as at or above all knots, `thousandths` of
  /// them, and 1 for all others: those whose word of the stream is at least 2^64 thousandths / 1000.
  public func quietBits(node: Int, thousandths: Int, in ranges: [Range<Int>]) -> [UInt64] {
    let stream = RandomStream(
      seed: seed,
      label: StreamLabel(
        session: session, party: 2, operation: UInt32(node), kind: StreamKind.noise.rawValue,
        index: 0))
    let (limit, _) = UInt64(1000).dividingFullWidth((UInt64(thousandths), 0))
    return stream.words(in: ranges).map { $0 < limit ? 0 : 1 }
  }
}
