// Sessions of two servers whose keys are in one file each, and travel before the first step.

import Bytes
import Correlations
import Foundation
import Models
import OnlineRuntime
import Program
import Sharing
import TestSupport
import Testing

struct KeysOnceTests {
  private static let shape = SessionShape(kind: .decoder, promptCapacity: 4, newCapacity: 3)
  private let files: ConversionFiles
  private let bundle: DealerBundle

  init() throws {
    files = try .tiny(.opt(layerCount: 2, width: 24, innerWidth: 40))
    bundle = try DealerBundle.open(in: files.folder)
  }

  private func deal(_ keys: KeyCopies, sessions: Range<Int> = 0..<2) throws -> String {
    let folder = files.scratch.file("corr-\(keys.rawValue)")
    let batch = try Batch(
      folder: folder, conversion: bundle.conversion, shape: Self.shape, keys: keys)
    _ = try batch.deal(sessions: sessions, program: bundle.program, weights: bundle)
    return folder
  }

  private func servers(_ correlations: String, _ folder: TemporaryFolder) throws -> [FakeParty] {
    let providers = try (0...1).map {
      try BundleProvider(
        party: $0, bundlePath: files.bundlePath($0), correlationFolder: "\(correlations)/party\($0)"
      )
    }
    let party0 = try FakeParty(providers[0], folder: folder)
    return [party0, try FakeParty(providers[1], folder: folder, peer: party0.address)]
  }

  private func logits(_ servers: [FakeParty]) throws -> [[Float]] {
    let session = try ClientSession.begin(
      party0: servers[0].address, party1: servers[1].address, promptCount: 3, newCount: 2,
      timeout: .seconds(20))
    return try SecureGeneration(session: session, tables: nil).run(
      prompt: [1, 4, 2], newCount: 2, forced: [3]
    ).rows
  }

  @Test func sessionsAreServed() throws {
    let folders = try KeyCopies.allCases.map { _ in try TemporaryFolder() }
    let results = try zip(KeyCopies.allCases, folders).map { copies, folder in
      let servers = try servers(try deal(copies), folder)
      defer { for server in servers { try? server.stop() } }
      let result = try logits(servers)
      #expect(servers.allSatisfy { $0.log.contains(" of keys passed on, ") == (copies == .once) })
      return result
    }
    #expect(results[0].count == 2)
    for (row, other) in zip(results[0], results[1]) {
      #expect(zip(row, other).allSatisfy { abs($0 - $1) < 0.01 })
      #expect(Set(row).count > 1)
    }
  }

  /// Files are as long as the cost says, and no key is in both.
  @Test func eachKeyIsInOneFile() throws {
    let program = bundle.program
    let cost = program.correlationCost(of: Self.shape, keys: .once)
    let both = program.correlationCost(of: Self.shape)
    #expect(cost.passedKeyByteCount.reduce(0, +) == both.keyByteCount)
    #expect(cost.passedKeyByteCount.allSatisfy { 4 * $0 > both.keyByteCount })
    let folder = try deal(.once)
    for party in 0...1 {
      let path = "\(folder)/party\(party)/000000.corr"
      let file = try CorrelationFile(path: path, verifying: true)
      try file.check(party: party, conversion: bundle.conversion, program: program)
      let overhead = try FilePaths.byteCount(of: path) - cost.byteCount(party: party)
      #expect((0..<(8192 + 512 * 3 * program.nodes.count)).contains(overhead))
    }
  }

  @Test func otherKeysThanWereDealtAreRefused() throws {
    let correlations = try deal(.once)
    try DamagedFile.changeFirstByte(ofArray: "keysDigest", in: "\(correlations)/party1/000000.corr")
    let folder = try TemporaryFolder()
    let servers = try servers(correlations, folder)
    let error = inputError { _ = try logits(servers) }
    #expect(error?.description.contains("sent other keys than were dealt") == true)
    // The next session is served.
    #expect(try logits(servers).count == 2)
    for server in servers { try server.stop() }
  }

  @Test func aBatchKeepsItsChoice() throws {
    let folder = try deal(.once)
    let error = inputError {
      _ = try Batch(folder: folder, conversion: bundle.conversion, shape: Self.shape)
    }
    #expect(error?.place == "keys")
    #expect(error?.hint.contains("--keys once") == true)
  }
}
