// Lines as they come: in pieces, without an end, too long, and not of text.

import Bytes
import Foundation
import Testing

@Suite struct LineReaderTests {
  private func lines(_ pieces: [[UInt8]], most: Int = 100) throws -> [String] {
    let pipe = Pipe()
    let writer = Thread {
      for piece in pieces {
        pipe.fileHandleForWriting.write(Data(piece))
        usleep(2000)
      }
      try? pipe.fileHandleForWriting.close()
    }
    writer.start()
    var reader = LineReader(
      descriptor: pipe.fileHandleForReading.fileDescriptor, source: "the lines",
      maximumByteCount: most)
    var found: [String] = []
    while let line = try reader.next() { found.append(line) }
    #expect(try reader.next() == nil)
    return found
  }

  @Test func linesComeInPieces() throws {
    let pieces = ["a", "b\nc\r\n\n", "d", "é", "\n", "e"].map { Array($0.utf8) }
    #expect(try lines(pieces) == ["ab", "c", "", "dé", "e"])
    #expect(try lines([]) == [])
    // A character whose bytes come apart is whole.
    let bytes = Array("é\n".utf8)
    #expect(try lines([[bytes[0]], Array(bytes[1...])]) == ["é"])
  }

  @Test func whatIsNoLineIsRefused() throws {
    for (piece, cause) in [
      ([0x61, 0xff, 0x0a], "is not valid UTF-8"),
      ([UInt8](repeating: 0x61, count: 101), "has a line of more than 100 bytes"),
    ] as [([UInt8], String)] {
      let error = #expect(throws: InputError.self) { try lines([piece]) }
      #expect(error?.source == "the lines" && error?.cause == cause)
    }
    #expect(try lines([[UInt8](repeating: 0x61, count: 100) + [0x0a]])[0].count == 100)
  }
}
