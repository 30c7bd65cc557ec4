// The ledger: a session is claimed once, whatever happens afterwards.

import Bytes
import Foundation
import Glibc
import OnlineRuntime
import Testing

/// A folder of its own for one test, removed at the end.
final class TemporaryFolder: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "ledger-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.appending(path: name).path }
}

@Suite struct LedgerTests {
  private let first = SessionKey(batch: "00ab", session: 0)
  private let second = SessionKey(batch: "00ab", session: 1)
  private let other = SessionKey(batch: "00ac", session: 0)

  @Test func aSessionIsClaimedOnce() throws {
    let folder = try TemporaryFolder()
    let ledger = try SessionLedger(path: folder.path("l.db"), party: 0)
    #expect(try ledger.unclaimed(among: [second, first, other]) == [second, first, other])
    try ledger.claim(first)
    #expect(try ledger.state(of: first) == .claimed)
    let error = #expect(throws: InputError.self) { try ledger.claim(first) }
    #expect(error?.cause == "session 0 of batch 00ab is already used (claimed)")
    try ledger.end(first, as: .finished)
    #expect(throws: InputError.self) { try ledger.claim(first) }
    #expect(throws: InputError.self) { try ledger.end(first, as: .burned) }
    #expect(throws: InputError.self) { try ledger.end(second, as: .burned) }
    #expect(try ledger.unclaimed(among: [second, first, other]) == [second, other])
    try ledger.claim(other)
    #expect(try ledger.state(of: first) == .finished)
  }

  @Test func claimsSurviveReopening() throws {
    let folder = try TemporaryFolder()
    for _ in 0..<1 {
      let ledger = try SessionLedger(path: folder.path("l.db"), party: 1)
      try ledger.claim(first)
      try ledger.claim(second)
      try ledger.end(second, as: .finished)
    }
    let ledger = try SessionLedger(path: folder.path("l.db"), party: 1)
    #expect(try ledger.state(of: first) == .burned)
    #expect(try ledger.state(of: second) == .finished)
    #expect(throws: InputError.self) { try ledger.claim(first) }
  }

  /// What is on the disk at the moment `claim` returns is what a killed process leaves behind.
  @Test func aClaimIsOnTheDiskWhenItReturns() throws {
    let folder = try TemporaryFolder()
    let ledger = try SessionLedger(path: folder.path("l.db"), party: 0)
    try ledger.claim(first)
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.url.path) {
      try FileManager.default.copyItem(
        atPath: folder.path(name),
        toPath: folder.path(name.replacingOccurrences(of: "l.db", with: "crashed.db")))
    }
    let reopened = try SessionLedger(path: folder.path("crashed.db"), party: 0)
    #expect(try reopened.state(of: first) == .burned)
    #expect(try reopened.state(of: second) == nil)
  }

  @Test func aKilledProcessLeavesItsClaimBehind() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path("l.db")
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      let ledger = try SessionLedger(path: path, party: 0)
      try ledger.claim(SessionKey(batch: "00ab", session: 0))
      kill(getpid(), SIGKILL)
    }
    let ledger = try SessionLedger(path: path, party: 0)
    #expect(try ledger.state(of: first) == .burned)
    #expect(throws: InputError.self) { try ledger.claim(first) }
  }

  @Test func copyingCorrelationsBackDoesNotUnburn() throws {
    let folder = try TemporaryFolder()
    let correlation = folder.path("0.corr")
    try Data("masks".utf8).write(to: URL(filePath: correlation))
    try FileManager.default.copyItem(atPath: correlation, toPath: folder.path("backup"))
    let ledger = try SessionLedger(path: folder.path("l.db"), party: 0)
    try ledger.claim(first)
    try ledger.end(first, as: .burned)
    try FileManager.default.removeItem(atPath: correlation)
    try FileManager.default.copyItem(atPath: folder.path("backup"), toPath: correlation)
    #expect(throws: InputError.self) { try ledger.claim(first) }
  }

  @Test func twoOpenersAreRefused() throws {
    let folder = try TemporaryFolder()
    let ledger = try SessionLedger(path: folder.path("l.db"), party: 0)
    let error = #expect(throws: InputError.self) {
      try SessionLedger(path: folder.path("l.db"), party: 0)
    }
    #expect(error?.cause == "another process uses this ledger")
    try ledger.claim(first)
  }

  /// Two ledgers would each let their process use the same sessions.
  @Test func twoLedgersCannotGuardOneFolder() throws {
    let folder = try TemporaryFolder()
    let sessions = folder.path("sessions")
    try FileManager.default.createDirectory(atPath: sessions, withIntermediateDirectories: true)
    let first = try SessionLedger(path: folder.path("l.db"), party: 0, guarding: sessions)
    let error = #expect(throws: InputError.self) {
      try SessionLedger(path: folder.path("other.db"), party: 0, guarding: sessions)
    }
    #expect(error?.source == sessions)
    #expect(error?.cause == "another process uses the sessions in this folder")
    try first.claim(self.first)
  }

  /// In the folder of sessions it would be put back together with them.
  @Test func aLedgerLiesOutsideItsFolder() throws {
    let folder = try TemporaryFolder()
    let sessions = folder.path("sessions")
    for path in ["sessions/below", "elsewhere"] {
      try FileManager.default.createDirectory(
        atPath: folder.path(path), withIntermediateDirectories: true)
    }
    let link = folder.path("link")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: sessions)
    for path in ["sessions/l.db", "sessions/below/l.db", "link/l.db", "elsewhere/../sessions/l.db"]
    {
      let error = #expect(throws: InputError.self) {
        try SessionLedger(path: folder.path(path), party: 0, guarding: sessions)
      }
      #expect(error?.cause == "lies in the folder of the sessions that it watches over")
      #expect(!FileManager.default.fileExists(atPath: folder.path(path)))
    }
    // One that was made there before, and is reached by a link from outside.
    for _ in 0..<1 { _ = try SessionLedger(path: "\(sessions)/l.db", party: 0) }
    try FileManager.default.createSymbolicLink(
      atPath: folder.path("l.db"), withDestinationPath: "\(sessions)/l.db")
    #expect(throws: InputError.self) {
      try SessionLedger(path: folder.path("l.db"), party: 0, guarding: link)
    }
    for path in ["sessions.ledger", "elsewhere/l.db"] {
      _ = try SessionLedger(path: folder.path(path), party: 0, guarding: sessions)
    }
  }

  /// A bundle that is sealed later keeps its ledger: its sessions are the same.
  @Test func sealedBundlesHaveTheLedgerOfPlainOnes() {
    #expect(SessionLedger.defaultPath(bundle: "a/party0.bundle") == "a/party0.bundle.ledger")
    #expect(SessionLedger.defaultPath(bundle: "a/party0.bundle.age") == "a/party0.bundle.ledger")
  }

  @Test func burningKnowsWhatIsKnown() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("l.db")
    for _ in 0..<1 {
      let ledger = try SessionLedger(path: path, party: 0)
      try ledger.claim(first)
      try ledger.end(first, as: .finished)
      #expect(try ledger.burn([first, second, other]) == [second, other])
      #expect(try ledger.burn([first, second, other]).isEmpty)
      #expect(throws: InputError.self) { try ledger.claim(second) }
    }
    let ledger = try SessionLedger(path: path, party: 0)
    #expect(try ledger.claimedSessions() == [first, second, other])
    #expect(try ledger.state(of: first) == .finished)
    #expect(try ledger.state(of: second) == .burned)
  }

  /// A ledger is read beside its party; a dead party's claims are shown as what they are.
  @Test func snapshotsShowWhatIsThere() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("l.db")
    for _ in 0..<1 {
      let ledger = try SessionLedger(path: path, party: 1)
      try ledger.claim(first)
      try ledger.claim(second)
      try ledger.end(second, as: .finished)
      let snapshot = try LedgerSnapshot(path: path)
      #expect(snapshot.party == 1)
      #expect(snapshot.states == [first: .claimed, second: .finished])
      try ledger.claim(other)
    }
    let snapshot = try LedgerSnapshot(path: path)
    #expect(snapshot.states == [first: .burned, second: .finished, other: .burned])
  }

  @Test func theLedgerOfTheOtherPartyIsRefused() throws {
    let folder = try TemporaryFolder()
    for _ in 0..<1 { _ = try SessionLedger(path: folder.path("l.db"), party: 0) }
    let error = #expect(throws: InputError.self) {
      try SessionLedger(path: folder.path("l.db"), party: 1)
    }
    #expect(error?.cause == "is the ledger of party 0, not of party 1")
  }

  @Test func damagedLedgersAreRefused() throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "l.db")
    for _ in 0..<1 {
      let ledger = try SessionLedger(path: url.path, party: 0)
      for session in 0..<200 { try ledger.claim(SessionKey(batch: "00ff", session: session)) }
    }
    let intact = try Data(contentsOf: url)
    var scribbled = intact
    for index in 4096..<intact.count where index % 7 == 0 { scribbled[index] ^= 0x5a }
    for damaged in [Data("no database".utf8), intact.prefix(5000), scribbled] {
      try damaged.write(to: url)
      let error = #expect(throws: InputError.self) {
        try SessionLedger(path: url.path, party: 0)
      }
      #expect(error?.source == url.path)
      #expect(error?.hint.contains("deal a new batch") == true)
    }
  }

  @Test func aForeignDatabaseAndAMissingFolderAreNamed() throws {
    let folder = try TemporaryFolder()
    let error = #expect(throws: InputError.self) {
      try SessionLedger(path: folder.path("absent/l.db"), party: 0)
    }
    #expect(error?.cause.hasPrefix("cannot be opened") == true)
  }
}
