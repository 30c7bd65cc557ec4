// Streams, seeds and digests give the same bytes however many threads ask at once.

import Foundation
import Randomness
import TestSupport
import Testing

struct ConcurrencyTests {
  @Test func streamsAreTheSameOnEveryThread() {
    let root = Seed(bytes: [UInt8](repeating: 9, count: 32))
    @Sendable func sample(_ index: Int) -> [UInt64] {
      let seed = root.derived(label: "stream \(index)")
      let stream = RandomStream(
        seed: seed,
        label: StreamLabel(
          session: UInt32(index), party: 1, operation: 7, kind: 2, index: UInt32(index)))
      let digest = SHA256.digest(seed.bytes)
      return stream.words(at: index % 5, count: 3 + index % 700) + digest.map(UInt64.init)
    }
    let expected = (0..<2000).map(sample)
    let mismatches = Shared(0)
    Threads.run(8) { thread in
      for index in 0..<2000
      where sample((index + 251 * thread) % 2000)
        != expected[(index + 251 * thread) % 2000]
      {
        mismatches.withLock { $0 += 1 }
      }
    }
    #expect(mismatches.withLock { $0 } == 0)
  }
}
