// What holds seeds shows none of their bytes, however it is printed.

import Bytes
import Foundation
import Randomness
import Sharing
import Testing

@Suite struct SecretDescriptionTests {
  @Test func nothingThatHoldsASeedShowsIt() {
    let bytes = (0..<32).map { UInt8(101 + $0) }
    let batch = BatchSeeds(seed: Seed(bytes: bytes))
    let streams = SessionStreams(seed: Seed(bytes: bytes), session: 5, party: 1)
    for value in [batch, streams, streams.mask(node: 3)] as [any Sendable] {
      var dumped = ""
      dump(value, to: &dumped)
      for text in [dumped, String(describing: value), String(reflecting: value)] {
        #expect(!text.contains(bytes.hexadecimal))
        #expect(!text.contains(bytes.prefix(4).map { "\($0)" }.joined(separator: ", ")))
        for byte in bytes { #expect(!text.contains("\(byte)"), "\(text)") }
        #expect(!text.contains("0x"), "\(text)")
      }
    }
  }
}
