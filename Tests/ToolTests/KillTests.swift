// Parties are killed at random points: no mask is ever used twice.

import Bytes
import Dispatch
import Foundation
import Glibc
import OnlineRuntime
import Program
import Synchronization
import TestSupport
import Testing

/// Two parties that are killed and started again, watched on the wire between them.
private final class KilledParties {
  static let promptCapacity = 2
  static let newCapacity = 4

  /// Clients that ask at the same time.
  let clientCount: Int
  let folder: ScratchFolder
  let servers: Servers
  let relay: RecordingRelay
  private var generator: SplitMix
  private var parties: [PartyProcess]
  private var nextInReserve = 0
  private(set) var killCount = 0
  private(set) var finishedCount = 0
  /// What clients were told that did not come to their end, and how often.
  private(set) var endings: [String: Int] = [:]

  init(seed: UInt64, sessionCount: Int, clientCount: Int = 1) throws {
    self.clientCount = clientCount
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
        "--out", folder.file("reserve"),
      ])
    for party in 0...1 {
      try FileManager.default.createDirectory(
        atPath: folder.file("correlations/party\(party)"), withIntermediateDirectories: true)
    }
    servers = Servers(converted: folder)
    relay = try RecordingRelay()
    try FileManager.default.supply(
      folder, after: -1, from: &nextInReserve, clientCount: clientCount)
    let limit = ["--concurrent", "\(clientCount)"]
    let party0 = try PartyProcess(servers, 0, peer: "127.0.0.1:0", limit)
    relay.setTarget(try Address(party0.address))
    parties = [party0, try PartyProcess(servers, 1, peer: relay.address.description, limit)]
  }

  deinit { relay.close() }

  /// Asks for a session for each client and kills one party or both at a random point of it.
  ///
  /// - Parameters:
  ///   - both: True to kill both parties whatever chance says.
  ///   - whileDown: Is called when the killed parties are gone.
  func killOnce(both: Bool = false, whileDown: (ScratchFolder) throws -> Void = { _ in }) throws {
    let choice = Int.random(in: 0..<10, using: &generator)
    let killed = both || choice == 0 ? [0, 1] : [choice % 2]
    // A session has some 130 frames; meeting, agreement and claims are the first few.
    let range = (Bool.random(using: &generator) ? 8 : 150) * clientCount
    let frame = Int.random(in: 0..<range, using: &generator)
    let delay = Bool.random(using: &generator) ? UInt32.random(in: 0..<2000, using: &generator) : 0
    let identifiers = killed.map { parties[$0].tool.identifier }
    relay.setTrap(frame: frame) {
      if delay > 0 { usleep(delay) }
      for identifier in identifiers { kill(identifier, SIGKILL) }
    }
    finishedCount += try runSessions()
    relay.setTrap(frame: .max) {}
    if killed.contains(0) { relay.setTarget(nil) }
    for party in killed { parties[party].tool.kill() }
    killCount += killed.count
    try FileManager.default.supply(
      folder, after: relay.record.lastSession, from: &nextInReserve, clientCount: clientCount)
    try whileDown(folder)
    for party in killed {
      let peer = party == 0 ? "127.0.0.1:0" : relay.address.description
      parties[party] = try PartyProcess(
        servers, party, peer: peer, ["--concurrent", "\(clientCount)"])
      if party == 0 { relay.setTarget(try Address(parties[0].address)) }
    }
  }

  /// Clients in this process, all at once; returns how many came to their end.
  private func runSessions() throws -> Int {
    let addresses = try parties.map { try Address($0.address) }
    let finished = Mutex(0)
    let causes = Mutex<[String: Int]>([:])
    let running = DispatchGroup()
    for _ in 0..<clientCount {
      let seed = generator.next()
      running.enter()
      Thread.detachNewThread {
        do {
          try Self.runSession(addresses, seed)
          finished.withLock { $0 += 1 }
        } catch {
          causes.withLock { $0[(error as? InputError)?.cause ?? "\(error)", default: 0] += 1 }
        }
        running.leave()
      }
    }
    running.wait()
    endings.merge(causes.withLock { $0 }) { $0 + $1 }
    return finished.withLock { $0 }
  }

  /// A client with an input of its own, of whose drafts one is rejected and computed again.
  private static func runSession(_ addresses: [Address], _ seed: UInt64) throws {
    var generator = SplitMix(seed)
    let session = try ClientSession.begin(
      party0: addresses[0], party1: addresses[1], promptCount: Self.promptCapacity,
      newCount: Self.newCapacity)
    for request in [
      StepRequest(rowCount: Self.promptCapacity), StepRequest(rowCount: 2, outputCount: 2),
      StepRequest(rowCount: 1, keptCount: 1),
    ] {
      let rows = (0..<request.rowCount * session.identity.inputWidth).map { _ in
        UInt64.random(in: 0...1, using: &generator)
      }
      _ = try session.step(rows: rows, request)
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

extension FileManager {
  /// Puts three sessions for each client after `last` in the parties' folders and leaves the four
  /// before: enough for a party to go wrong with, and few enough to start it two hundred times.
  fileprivate func supply(
    _ folder: ScratchFolder, after last: Int, from next: inout Int, clientCount: Int
  ) throws {
    func path(_ name: String, _ party: Int, _ session: Int) -> String {
      let digits = String(session)
      return folder.file(
        "\(name)/party\(party)/\(String(repeating: "0", count: 6 - digits.count))\(digits).corr")
    }
    for party in 0...1 {
      for session in next..<max(next, last + 1 + 3 * clientCount)
      where fileExists(atPath: path("reserve", party, session)) {
        try moveItem(
          atPath: path("reserve", party, session), toPath: path("correlations", party, session))
      }
      for session in max(0, last - 12 * clientCount)..<max(0, last - 4 * clientCount) {
        try? removeItem(atPath: path("correlations", party, session))
      }
    }
    next = max(next, last + 1 + 3 * clientCount)
  }
}

@Suite(.serialized) struct KillTests {
  /// What a number of kills left on the wire and in the ledgers.
  private struct Outcome {
    var record: RecordingRelay.Record
    var clientCount: Int
    var killCount: Int
    var finishedCount: Int
    var endings: [String: Int]
    var seconds: Double
    var ledgers: [[SessionKey]]
  }

  private static func run(seed: UInt64, killCount: Int, clientCount: Int) throws -> Outcome {
    let start = ContinuousClock.now
    let parties = try KilledParties(
      seed: seed, sessionCount: clientCount * killCount + 40, clientCount: clientCount)
    while parties.killCount < killCount { try parties.killOnce() }
    return Outcome(
      record: parties.relay.record, clientCount: clientCount, killCount: parties.killCount,
      finishedCount: parties.finishedCount, endings: parties.endings,
      seconds: (ContinuousClock.now - start) / .seconds(1),
      ledgers: try parties.ledgerKeys())
  }

  /// Whatever is killed wherever, with one session or with eight at once: every opening of every
  /// session is sent once, for one client.
  @Test func noMaskIsUsedTwice() throws {
    let seed = UInt64.random(in: 0..<UInt64.max)
    print("kill test seed: \(seed)")
    // Two pairs of parties at once: mostly they wait for each other.
    let results = Mutex<[Result<Outcome, any Error>]>([])
    DispatchQueue.concurrentPerform(iterations: 2) { lane in
      let result = Result {
        try KillTests.run(
          seed: seed + UInt64(lane), killCount: lane == 0 ? 150 : 50,
          clientCount: lane == 0 ? 1 : 8)
      }
      results.withLock { $0.append(result) }
    }
    let outcomes = try results.withLock { try $0.map { try $0.get() } }
    for outcome in outcomes {
      let record = outcome.record
      #expect(record.repeated.isEmpty, "seed \(seed): \(record.repeated)")
      #expect(record.requests.values.allSatisfy { $0.count == 1 }, "seed \(seed)")
      // What was opened was claimed in both ledgers before.
      for keys in outcome.ledgers {
        #expect(Set(keys).isSuperset(of: record.requests.keys), "seed \(seed)")
      }
      print(
        "\(outcome.killCount) kills of \(outcome.clientCount) at once: \(record.requests.count) sessions opened something, "
          + "\(outcome.finishedCount) reached their end, \(record.openings.count) openings, "
          + "\(Int(outcome.seconds)) s")
      // The points were spread: sessions were cut before, in the middle and after their openings.
      let most = outcome.killCount * outcome.clientCount
      let range = 21..<most
      #expect(
        range.contains(record.requests.count),
        "of \(outcome.clientCount) at once: \(outcome.endings)")
    }
    #expect(outcomes.reduce(0) { $0 + $1.killCount } >= 200)
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
  /// Folder with model.lodge.
  static let model = Result {
    try SharedFolder.make("one-layer-model") { folder in
      let checkpoint = try ScratchFolder()
      let path = try TinyCheckpoint.opt(layerCount: 1).write(to: checkpoint)
      let texts = try checkpoint.write("[[1,2,3,4,5,6],[7,8,9,10,0,1]]".utf8, to: "texts.json")
      try Tool.succeed(
        "lodge-model",
        ["approximate", path, "--tokens", texts, "--out", "\(folder)/model.lodge"])
    }
  }

  /// Folder with shares.
  static let converted = Result {
    let model = try OneLayer.model.get()
    return try SharedFolder.make("one-layer") { folder in
      try Tool.succeed(
        "lodge-model", ["share", "\(model)/model.lodge", "--out", "\(folder)/shares"])
    }
  }
}
