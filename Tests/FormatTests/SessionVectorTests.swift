// Bundles and session files of formats/vectors, which a second implementation has written.

import Bytes
import Containers
import Correlations
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing

struct SessionVectorTests {
  static let vectors = FormatVector.all(in: "session")

  /// Reads `path` as the role that gets the file of this name does, beside valid other files.
  static func read(_ path: String, as name: String) throws {
    switch name {
    case "party0.bundle", "party1.bundle":
      let bundle = try PartyBundle(path: path)
      for id in bundle.program.weights.indices { _ = try bundle.share(id) }
    case "dealer.bundle":
      let bundle = try DealerBundle(path: path)
      for id in bundle.program.multipliedWeights { _ = try bundle.weight(id) }
    case "client.bundle": _ = try ClientBundle(path: path)
    case "dealer.batch":
      let folder = try ScratchFolder()
      try FileManager.default.copyItem(atPath: path, toPath: folder.file(name))
      _ = try batch(in: folder.path)
    default:
      let party = name.hasPrefix("party0") ? 0 : 1
      let bundle = try PartyBundle(path: FormatVector.valid("party\(party).bundle"))
      let file = try CorrelationFile(path: path, verifying: true)
      try file.check(party: party, conversion: bundle.conversion, program: bundle.program)
    }
  }

  /// The batch of the valid files, in a folder that holds their dealer.batch.
  static func batch(in folder: String) throws -> Batch {
    let bundle = try DealerBundle(path: FormatVector.valid("dealer.bundle"))
    return try Batch(
      folder: folder, conversion: bundle.conversion,
      shape: SessionShape(kind: .decoder, promptCapacity: 2, newCapacity: 2))
  }

  @Test func thereAreVectors() { #expect(Self.vectors.count > 60) }

  @Test(arguments: [
    "client.bundle", "dealer.batch", "dealer.bundle", "party0.bundle", "party0.corr",
    "party1.bundle", "party1.corr",
  ]) func validFilesAreRead(name: String) throws {
    try Self.read(FormatVector.valid(name), as: name)
  }

  /// Up to the stages for which somebody must have both parties' files, which Python checks.
  @Test(arguments: vectors) func failsAtItsStage(vector: FormatVector) throws {
    for (name, path) in vector.files {
      let opening = inputError {
        _ = try ContainerReader(path: path, kind: nil, verifying: false)
      }
      let content = inputError {
        _ = try ContainerReader(path: path, kind: nil, verifying: true)
      }
      let reading = inputError { try Self.read(path, as: name) }
      #expect(opening == nil)
      #expect((content != nil) == (vector.stage == .content), "\(String(describing: content))")
      let isRefused = vector.stage == .content || vector.stage == .read
      #expect((reading != nil) == isRefused, "\(String(describing: reading))")
    }
  }

  /// The dealer makes of the same seed what the second implementation has made, key bytes and all.
  @Test func sessionIsDealtAgainByteForByte() throws {
    let folder = try ScratchFolder()
    try FileManager.default.copyItem(
      atPath: FormatVector.valid("dealer.batch"), toPath: folder.file("dealer.batch"))
    let batch = try Self.batch(in: folder.path)
    let bundle = try DealerBundle(path: FormatVector.valid("dealer.bundle"))
    let isDealt = try batch.deal(
      session: 3, program: bundle.program, weights: bundle)
    #expect(isDealt)
    for party in 0...1 {
      let digests = try [
        batch.path(party: party, session: 3), FormatVector.valid("party\(party).corr"),
      ].map { try ContainerReader(path: $0, kind: "correlations", verifying: true).digest }
      #expect(digests[0] == digests[1], "party \(party)")
    }
  }

  /// The dumps in the texts show these files.
  @Test(arguments: [("bundle.md", "party0.bundle"), ("correlations.md", "party0.corr")])
  func dumpsShowTheVectors(text: String, name: String) throws {
    let path = Repository.root.appending(path: "formats/\(text)").path
    let text = try String(contentsOfFile: path, encoding: .utf8)
    func short(_ digest: [UInt8]) -> String {
      "\(digest.hexadecimal.prefix(8))...\(digest.hexadecimal.suffix(4))"
    }
    let reader = try ContainerReader(path: FormatVector.valid(name), kind: nil, verifying: true)
    let program = try DealerBundle(path: FormatVector.valid("dealer.bundle")).program
    #expect(text.contains("root digest `\(short(reader.digest))`"))
    #expect(text.contains("\"programDigest\":\"\(short(program.digest))\""))
  }
}
