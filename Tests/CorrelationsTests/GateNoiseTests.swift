// Noise of gates: drawn by the dealer alone, of whose seed neither party has anything.

import Randomness
import Sharing
import Testing

struct GateNoiseTests {
  /// As often as asked, for every operation and session anew, and from neither party's seed.
  @Test func theDealerDrawsIt() {
    let seed = Seed(bytes: (0..<32).map { UInt8($0) })
    let batch = BatchSeeds(seed: seed)
    func bits(_ session: Int, node: Int, thousandths: Int, from first: Int = 0) -> [UInt64] {
      batch.noise(session: session).quietBits(
        node: node, thousandths: thousandths, in: [first..<first + 20_000])
    }
    for thousandths in [1, 20, 500] {
      let open = bits(0, node: 7, thousandths: thousandths).count { $0 == 0 }
      let (mean, deviation) = (
        20.0 * Double(thousandths),
        (20.0 * Double(thousandths) * (1 - Double(thousandths) / 1000)).squareRoot()
      )
      #expect(abs(Double(open) - mean) < 5 * deviation, "\(open)")
    }
    let first = bits(0, node: 7, thousandths: 500)
    for other in [
      bits(1, node: 7, thousandths: 500), bits(0, node: 8, thousandths: 500),
      bits(0, node: 7, thousandths: 500, from: 20_000),
    ] {
      let alike = zip(first, other).count { $0 == $1 }
      #expect(abs(alike - 10_000) < 500)
    }
    // Elements have their word wherever they are read from.
    let parts = batch.noise(session: 0).quietBits(
      node: 7, thousandths: 500, in: [5..<9, 100..<103])
    #expect(parts == Array(first[5..<9] + first[100..<103]))
    for party in 0...1 {
      let stream = batch.streams(session: 0, party: party)
      let words = RandomStream(
        seed: stream.seed,
        label: StreamLabel(
          session: 0, party: 2, operation: 7, kind: StreamKind.noise.rawValue, index: 0)
      ).words(at: 0, count: 20_000)
      let alike = zip(first, words).count { $0 == ($1 >> 63) }
      #expect(abs(alike - 10_000) < 500)
    }
  }
}
