// Parties are killed at random points: no mask is ever used twice.

import Bytes
import Foundation
import Glibc
import OnlineRuntime
import TestSupport
import Testing

/// Two parties that are killed and started again, watched on the wire between them.
private final class KilledParties {
  static let promptCapacity = 2
  static let newCapacity = 2

  let folder: ScratchFolder
  let servers: Servers
  let relay: RecordingRelay
  private var generator: SplitMix
  private var parties: [PartyProcess]
  private(set) var killCount = 0
  private(set) var finishedCount = 0

  init(seed: UInt64, sessionCount: Int) throws {
    generator = SplitMix(seed)
    // A killed process loses nothing that it has written, in memory as on a disk.
    folder = try ScratchFolder(isInMemory: true)
    let model = try OneLayer.converted.get()
    try FileManager.default.copyItem(atPath: "\(model)/shares", toPath: folder.file("shares"))
    try Tool.succeed(
      "lodge-deal",
      [
        folder.file("shares"), "--sessions", "0..<\(sessionCount)",
        "--prompt", "\(Self.promptCapacity)", "--new", "\(Self.newCapacity)",
        "--out", folder.file("correlations"),
      ])
    servers = Servers(converted: folder)
    relay = try RecordingRelay()
    let party0 = try PartyProcess(servers, 0, peer: "127.0.0.1:0")
    relay.setTarget(try Address(party0.address))
    parties = [party0, try PartyProcess(servers, 1, peer: relay.address.description)]
  }

  deinit { relay.close() }

  /// Asks for a session and kills one party or both at a random point of it.
  ///
  /// - Parameters:
  ///   - both: True to kill both parties whatever chance says.
  ///   - whileDown: Is called when the killed parties are gone.
  func killOnce(both: Bool = false, whileDown: (ScratchFolder) throws -> Void = { _ in }) throws {
    let choice = Int.random(in: 0..<10, using: &generator)
    let killed = both || choice == 0 ? [0, 1] : [choice % 2]
    // A session has some 130 frames; meeting, agreement and claims are the first few.
    let frame =
      Bool.random(using: &generator)
      ? Int.random(in: 0..<8, using: &generator) : Int.random(in: 0..<150, using: &generator)
    let delay = Bool.random(using: &generator) ? UInt32.random(in: 0..<2000, using: &generator) : 0
    let identifiers = killed.map { parties[$0].tool.identifier }
    relay.setTrap(frame: frame) {
      if delay > 0 { usleep(delay) }
      for identifier in identifiers { kill(identifier, SIGKILL) }
    }
    do {
      try runSession()
      finishedCount += 1
    } catch is InputError {}
    relay.setTrap(frame: .max) {}
    if killed.contains(0) { relay.setTarget(nil) }
    for party in killed { parties[party].tool.kill() }
    killCount += killed.count
    try whileDown(folder)
    for party in killed {
      let peer = party == 0 ? "127.0.0.1:0" : relay.address.description
      parties[party] = try PartyProcess(servers, party, peer: peer)
      if party == 0 { relay.setTarget(try Address(parties[0].address)) }
    }
  }

  /// A client in this process with an input of its own.
  private func runSession() throws {
    let session = try ClientSession.begin(
      party0: Address(parties[0].address), party1: Address(parties[1].address),
      promptCount: Self.promptCapacity, newCount: Self.newCapacity)
    for rowCount in [Self.promptCapacity, 1] {
      let rows = (0..<rowCount * session.identity.inputWidth).map { _ in
        UInt64.random(in: 0...1, using: &generator)
      }
      _ = try session.step(rows: rows, rowCount: rowCount)
    }
    try session.end()
  }

  /// States of the first `count` sessions in both ledgers, after both parties are gone.
  func ledgerKeys() throws -> [[SessionKey]] {
    for party in parties { party.tool.kill() }
    return try (0...1).map { party in
      try SessionLedger(path: folder.file("party\(party).ledger"), party: party)
        .claimedSessions()
    }
  }
}

@Suite(.serialized) struct KillTests {
  /// Whatever is killed wherever: every opening of every session is sent once, for one client.
  @Test func noMaskIsUsedTwice() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("kill test seed: \(seed)")
    let parties = try KilledParties(seed: seed, sessionCount: 240)
    while parties.killCount < 200 { try parties.killOnce() }
    let record = parties.relay.record
    #expect(record.repeated.isEmpty, "seed \(seed): \(record.repeated)")
    #expect(record.requests.values.allSatisfy { $0.count == 1 }, "seed \(seed)")
    // What was opened was claimed in both ledgers before.
    for keys in try parties.ledgerKeys() {
      #expect(Set(keys).isSuperset(of: record.requests.keys), "seed \(seed)")
    }
    print(
      "\(parties.killCount) kills: \(record.requests.count) sessions opened something, "
        + "\(parties.finishedCount) reached their end, \(record.openings.count) openings")
    // The points were spread: some sessions were cut before, some in the middle, some never.
    #expect(record.requests.count > 20 && parties.finishedCount > 0)
  }

  /// The record sees a reuse when there is one: parties that both lose their ledgers repeat masks.
  @Test func theRecordSeesReuse() throws {
    let parties = try KilledParties(seed: 1, sessionCount: 2)
    var reuse = false
    for _ in 0..<20 where !reuse {
      try parties.killOnce(both: true) { folder in
        for party in 0...1 {
          try? FileManager.default.removeItem(atPath: folder.file("party\(party).ledger"))
        }
      }
      reuse = !parties.relay.record.repeated.isEmpty
    }
    #expect(reuse)
  }
}

/// A converted OPT of one layer: the fewest rounds that still have every kind of opening.
enum OneLayer {
  /// Folder with shares.
  static let converted = Result {
    try SharedFolder.make("one-layer") { folder in
      let checkpoint = try ScratchFolder()
      let path = try TinyCheckpoint.opt(layerCount: 1).write(to: checkpoint)
      let texts = try checkpoint.write("[[1,2,3,4,5,6],[7,8,9,10,0,1]]".utf8, to: "texts.json")
      let model = checkpoint.file("model.lodge")
      try Tool.succeed("lodge-model", ["approximate", path, "--tokens", texts, "--out", model])
      try Tool.succeed("lodge-model", ["share", model, "--out", "\(folder)/shares"])
    }
  }
}
