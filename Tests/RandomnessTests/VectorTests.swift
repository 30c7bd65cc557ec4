// The vectors of formats/randomness.md, made by another implementation, and SHA-256 from FIPS
// 180-4.

import Bytes
import Foundation
import Randomness
import TestSupport
import Testing

/// Bytes of a string of hexadecimal digits.
func bytes(hexadecimal text: String) throws -> [UInt8] {
  let digits = try text.map { try #require($0.hexDigitValue) }
  try #require(digits.count % 2 == 0)
  return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// The members of `formats/vectors/randomness.json` under `key`, each as a reader.
private func vectors(_ key: String) throws -> [JSONReader] {
  let path = Repository.root.appending(path: "formats/vectors/randomness.json").path
  let content = try [UInt8](Data(contentsOf: URL(filePath: path)))
  var reader = try JSONReader(JSON.parse(content, source: path), source: path)
  let elements = try reader.array(key)
  #expect(!elements.isEmpty)
  return try elements.map { try JSONReader($0, source: path, place: key) }
}

@Suite struct VectorTests {
  @Test func derivedSeeds() throws {
    for var reader in try vectors("seeds") {
      let seed = Seed(bytes: try bytes(hexadecimal: reader.string("seed")))
      let label = try bytes(hexadecimal: reader.string("label"))
      #expect(try seed.derived(label: label).bytes == bytes(hexadecimal: reader.string("derived")))
      try reader.finish()
    }
  }

  @Test func streams() throws {
    for var reader in try vectors("streams") {
      let seed = Seed(bytes: try bytes(hexadecimal: reader.string("seed")))
      var fields = try reader.object("label")
      let label = StreamLabel(
        session: UInt32(try fields.integer("session")), party: UInt8(try fields.integer("party")),
        operation: UInt32(try fields.integer("operation")),
        kind: UInt8(try fields.integer("kind")), index: UInt32(try fields.integer("index")))
      #expect(try label.bytes == bytes(hexadecimal: reader.string("labelBytes")))
      let stream = RandomStream(seed: seed, label: label)
      var piece = try reader.object("bytes")
      let expected = try bytes(hexadecimal: piece.string("hex"))
      #expect(try stream.bytes(at: piece.integer("offset"), count: expected.count) == expected)
      for element in try reader.array("runs") {
        var run = try JSONReader(element, source: reader.source, place: "runs")
        let offset = try run.integer("offset")
        let words = try run.array("words").map { word in
          guard case .string(let text) = word else { throw run.failure("words", "not a string") }
          return try #require(UInt64(text, radix: 16))
        }
        #expect(stream.words(at: offset, count: words.count) == words)
      }
    }
  }

  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func digests(message: String, digest: String) throws {
    let message = Array(message.utf8)
    #expect(try SHA256.digest(message) == bytes(hexadecimal: digest))
    for cut in 0...message.count {
      var hasher = SHA256Hasher()
      hasher.update(Array(message[..<cut]))
      hasher.update(Array(message[cut...]))
      #expect(try hasher.finalize() == bytes(hexadecimal: digest))
    }
  }
}
