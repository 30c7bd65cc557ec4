// Base64: all lengths, and everything that is not quite Base64.

import Bytes
import Foundation
import Testing

struct Base64Tests {
  @Test func agreesWithFoundation() {
    for count in 0..<70 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count &* 101) }
      let text = Base64.text(bytes)
      #expect(text == Data(bytes).base64EncodedString())
      #expect(Base64.decode(text.utf8) == bytes)
    }
  }

  @Test(arguments: [
    "A", "AA", "AAA", "AAAAA", "A===", "====", "=AAA", "AA=A", "AB==", "AAB=", "AA==AAAA", "AA A",
    "AA-_", "AAA\n", "AAAAé==", "AAA=AAA=",
  ])
  func refuses(text: String) { #expect(Base64.decode(text.utf8) == nil) }
}
