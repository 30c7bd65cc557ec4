// Bundles and session files of formats/vectors, which a second implementation has written.

import Bytes
import Containers
import Correlations
import Foundation
import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing

struct SessionVectorTests {
  static let vectors = FormatVector.all(in: "session")

  /// What stands before the names of a deployment's files.
  static func prefix(_ deployment: Deployment) -> String {
    deployment == .twoServer ? "" : "\(deployment.rawValue)."
  }

  /// Reads `path` as the role that gets the file of this name does, beside valid other files.
  static func read(_ path: String, as name: String) throws {
    let deployment =
      Deployment.allCases.first { $0 != .twoServer && name.hasPrefix(prefix($0)) } ?? .twoServer
    let name = String(name.dropFirst(prefix(deployment).count))
    switch name {
    case "party0.bundle", "party1.bundle", "provider.bundle", "user.bundle":
      let bundle = try PartyBundle(path: path)
      for id in bundle.program.weights.indices { _ = try bundle.share(id) }
    case "dealer.bundle":
      let bundle = try DealerBundle(path: path)
      for id in bundle.program.multipliedWeights { _ = try bundle.weight(id) }
    case "client.bundle": _ = try ClientBundle(path: path)
    case "dealer.batch":
      let folder = try ScratchFolder()
      try FileManager.default.copyItem(atPath: path, toPath: folder.file(name))
      _ = try batch(in: folder.path, deployment)
    default:
      let party = name.hasPrefix("party0") ? 0 : 1
      let bundle = try PartyBundle(
        path: FormatVector.valid(prefix(deployment) + deployment.bundleName(ofParty: party)))
      let file = try CorrelationFile(path: path, verifying: true)
      try file.check(party: party, conversion: bundle.conversion, program: bundle.program)
    }
  }

  /// The batch of the valid files, in a folder that holds their dealer.batch.
  static func batch(in folder: String, _ deployment: Deployment) throws -> Batch {
    let bundle = try DealerBundle(path: FormatVector.valid(prefix(deployment) + "dealer.bundle"))
    let session = try CorrelationFile(
      path: FormatVector.valid(prefix(deployment) + "party0.corr"), verifying: true)
    return try Batch(
      folder: folder, conversion: bundle.conversion,
      shape: SessionShape(kind: .decoder, promptCapacity: 2, newCapacity: 3),
      user: session.header.user, keys: session.header.keys)
  }

  @Test func thereAreVectors() { #expect(Self.vectors.count > 60) }

  @Test func validFilesAreRead() throws {
    let names = try FileManager.default.contentsOfDirectory(
      atPath: "\(FormatVector.folder)/valid")
    #expect(names.count == 19)
    for name in names { try Self.read(FormatVector.valid(name), as: name) }
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
  @Test(arguments: Deployment.allCases)
  func sessionIsDealtAgainByteForByte(deployment: Deployment) throws {
    let folder = try ScratchFolder()
    let prefix = Self.prefix(deployment)
    try FileManager.default.copyItem(
      atPath: FormatVector.valid(prefix + "dealer.batch"), toPath: folder.file("dealer.batch"))
    let batch = try Self.batch(in: folder.path, deployment)
    let bundle = try DealerBundle(path: FormatVector.valid(prefix + "dealer.bundle"))
    let isDealt = try batch.deal(
      session: 3, program: bundle.program, weights: bundle)
    #expect(isDealt)
    for party in 0...1 {
      let digests = try [
        batch.path(party: party, session: 3),
        FormatVector.valid("\(prefix)party\(party).corr"),
      ].map { try ContainerReader(path: $0, kind: "correlations", verifying: true).digest }
      #expect(digests[0] == digests[1], "party \(party)")
    }
  }

  /// The weights of all deployments are the same, whoever holds what; the dealer's are W - D.
  @Test func bundlesGiveTheirWeights() throws {
    let weights: [[Int]] = [
      [16, -3, 300, 5], [1, 2, 3, 4, -5, 6, 7, -8], [40000, -9], [1 << 40, -7, 3, -1 << 33],
    ]
    for deployment in Deployment.allCases {
      let prefix = Self.prefix(deployment)
      let bundles = try (0...1).map {
        try PartyBundle(path: FormatVector.valid(prefix + deployment.bundleName(ofParty: $0)))
      }
      let dealer = try DealerBundle(path: FormatVector.valid("\(prefix)dealer.bundle"))
      for id in bundles[0].program.weights.indices {
        let expected = weights[id].map { UInt64(bitPattern: Int64($0)) }
        var sum = [UInt64](repeating: 0, count: expected.count)
        for share in try bundles.map({ try $0.share(id) }) where !share.isEmpty {
          sum = zip(sum, share).map { $0 &+ $1 }
        }
        #expect(sum == expected, "weight \(id) of \(deployment)")
        guard dealer.program.multipliedWeights.contains(id) else { continue }
        var dealt = try dealer.weight(id)
        #expect((dealt == expected) == !deployment.isDealerBlind)
        let masks = bundles.map {
          $0.weightMasks?.stream(id).words(at: 0, count: sum.count)
        }
        #expect(masks[0] == masks[1])
        if let mask = masks[0] { dealt = zip(dealt, mask).map { $0 &+ $1 } }
        // Weight 3 is needed modulo 2^20 only.
        let isNarrow = deployment.isDealerBlind && id == 3
        let plainBits = id == 0 ? 16 : 32
        #expect(
          try dealer.elementBits(id)
            == (isNarrow ? 32 : deployment.isDealerBlind ? 64 : plainBits))
        let kept: UInt64 = isNarrow ? 0xffff_ffff : .max
        #expect(dealt.map { $0 & kept } == expected.map { $0 & kept }, "weight \(id)")
      }
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
