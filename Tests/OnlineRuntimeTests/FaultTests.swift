// Faults of files, ledgers and machines: what they cost, and that they pass.

import Bytes
import Foundation
import Glibc
import OnlineRuntime
import Synchronization
import TestSupport
import Testing

@Suite struct FaultTests {
  /// What a provider of a test finds wrong, while it lasts.
  private final class Fault: Sendable {
    private let state = Mutex<(fault: SessionFault?, sessions: Set<Int>, opened: [Int])>(
      (nil, [], []))
    var opened: [Int] { state.withLock { $0.opened } }
    func set(_ fault: SessionFault?, for sessions: Set<Int> = []) {
      state.withLock { $0 = (fault, sessions, []) }
    }
    func check(_ session: Int) throws(SessionFault) {
      let fault = state.withLock { state -> SessionFault? in
        state.opened.append(session)
        return state.sessions.contains(session) ? state.fault : nil
      }
      if let fault { throw fault }
    }
  }

  private struct Pair {
    let folder: TemporaryFolder
    let parties: [FakeParty]
    let fault = Fault()

    /// - Parameter failing: The party that meets with `fault`.
    init(failing: Int, sessionCount: Int = 3) throws {
      folder = try TemporaryFolder()
      var parties: [FakeParty] = []
      for party in 0..<2 {
        var provider = FakeProvider(party: party, sessionCount: sessionCount)
        if party == failing {
          let fault = fault
          provider.willOpen = { session throws(SessionFault) in try fault.check(session) }
        }
        parties.append(
          try FakeParty(provider, folder: folder, peer: parties.first?.address))
      }
      self.parties = parties
    }

    func begin() throws -> ClientSession {
      try ClientSession.begin(
        party0: parties[0].address, party1: parties[1].address, promptCount: 2, newCount: 4,
        timeout: .seconds(20))
    }

    /// Runs a session to its end and returns its number.
    func serve() throws -> Int {
      let session = try begin()
      try session.end()
      return session.key.session
    }

    func stop() throws { for party in parties { try party.stop() } }

    func states(_ session: Int) throws -> [SessionLedger.State?] {
      try (0..<2).map { try ledgerState(folder, party: $0, session: session) }
    }
  }

  /// No descriptors, no memory, no disk: that is no fault of the first session, nor of the others.
  @Test(arguments: [0, 1], [EMFILE, ENOMEM, ENOSPC, EROFS])
  func aFailingMachineKeepsTheStock(party: Int, code: Int32) throws {
    let pair = try Pair(failing: party)
    pair.fault.set(
      SessionFault(opening: InputError("any.corr", "cannot open", system: code)),
      for: [0, 1, 2])
    for attempt in 1...3 {
      let error = #expect(throws: InputError.self) { try pair.begin() }
      #expect(error?.description.contains(SystemError.message(code)) == true)
      #expect(error?.hint.contains("nothing was spent") == true)
      // One try a client: the others would fail the same way.
      #expect(pair.fault.opened == [Int](repeating: 0, count: attempt))
    }
    pair.fault.set(nil)
    #expect(try pair.serve() == 0)
    try pair.stop()
    for side in pair.parties {
      let isConcerned = side === pair.parties[0] || party == 1
      let count = side.log.components(separatedBy: "no session is used until this is").count - 1
      #expect(count == (isConcerned ? 1 : 0), "\(side.log)")
      #expect(side.log.components(separatedBy: "mended: ").count - 1 == count, "\(side.log)")
    }
    #expect(try pair.states(0) == [.finished, .finished])
    #expect(try pair.states(1) == [nil, nil] && pair.states(2) == [nil, nil])
  }

  /// A file that cannot be read now is left for later, and used when nothing else is there.
  @Test(arguments: [0, 1])
  func aFileThatCannotBeReadIsLeftForLater(party: Int) throws {
    let pair = try Pair(failing: party)
    pair.fault.set(
      SessionFault(opening: InputError("0.corr", "cannot open", system: EACCES)), for: [0])
    #expect(try pair.serve() == 1)
    #expect(try pair.serve() == 2)
    let error = #expect(throws: InputError.self) { try pair.begin() }
    #expect(error?.description.contains("permission denied") == true)
    pair.fault.set(nil)
    #expect(try pair.serve() == 0)
    try pair.stop()
    for session in 0..<3 { #expect(try pair.states(session) == [.finished, .finished]) }
  }

  /// A file that is copied anew while both parties run is used; what was said of it is not said again.
  @Test(arguments: [0, 1])
  func aMendedFileIsUsed(party: Int) throws {
    let pair = try Pair(failing: party, sessionCount: 1)
    for cause in ["digest does not match", "is cut short"] {
      pair.fault.set(SessionFault(opening: InputError("0.corr", cause)), for: [0])
      let error = #expect(throws: InputError.self) { try pair.begin() }
      #expect(error?.description.contains("0.corr: \(cause)") == true, "\(error as Any)")
      #expect(error?.hint.contains("copy its file anew") == true, "\(error as Any)")
    }
    pair.fault.set(nil)
    #expect(try pair.serve() == 0)
    try pair.stop()
    #expect(try pair.states(0) == [.finished, .finished])
  }

  /// What is damaged is looked at again after all others, and a client does not wait for all that is damaged.
  @Test(arguments: [0, 1])
  func damagedFilesAreLookedAtOnce(party: Int) throws {
    let pair = try Pair(failing: party, sessionCount: 11)
    pair.fault.set(
      SessionFault(opening: InputError("x.corr", "digest does not match")), for: Set(0..<10))
    #expect(throws: InputError.self) { try pair.begin() }
    #expect(pair.fault.opened == Array(0..<8))
    #expect(try pair.serve() == 10)
    #expect(pair.fault.opened == Array(0..<11))
    try pair.stop()
    for session in 0..<10 { #expect(try pair.states(session) == [nil, nil]) }
  }

  /// SQLite cannot make its journal, as in a folder that has become read-only: nothing is spent,
  /// whoever's ledger it is, and the next client after it is mended is served.
  @Test(arguments: [0, 1])
  func aLedgerThatCannotBeWrittenBurnsNothing(party: Int) throws {
    let pair = try Pair(failing: party)
    #expect(try pair.serve() == 0)
    // Modes do not hold root back; a folder in the journal's place holds everybody back.
    let journal = pair.folder.path("party\(party).db-journal")
    try FileManager.default.createDirectory(atPath: journal, withIntermediateDirectories: false)
    for _ in 0..<4 {
      let error = #expect(throws: InputError.self) { try pair.begin() }
      #expect(error?.description.contains("party\(party).db: ") == true, "\(error as Any)")
    }
    try FileManager.default.removeItem(atPath: journal)
    #expect(try pair.serve() == 1)
    try pair.stop()
    #expect(pair.parties[party].log.components(separatedBy: "disk I/O error").count == 3)
    #expect(pair.parties[party].log.contains("mended: ledger: disk I/O error"))
    for session in 0..<2 { #expect(try pair.states(session) == [.finished, .finished]) }
    #expect(try pair.states(2) == [nil, nil])
  }

  /// The ledger fails while a session runs: how it ended is noted later, and nothing runs before.
  @Test(arguments: [0, 1])
  func anEndThatCannotBeNotedIsNotedLater(party: Int) throws {
    let pair = try Pair(failing: party)
    let session = try pair.begin()
    let journal = pair.folder.path("party\(party).db-journal")
    try FileManager.default.createDirectory(atPath: journal, withIntermediateDirectories: false)
    try session.end()
    #expect(throws: InputError.self) { try pair.begin() }
    try FileManager.default.removeItem(atPath: journal)
    #expect(try pair.serve() == 1)
    try pair.stop()
    #expect(try pair.states(0) == [.finished, .finished])
  }

  /// What the peer has used is remembered while it cannot be noted.
  @Test(arguments: [0, 1])
  func theOthersUsedSessionsAreRememberedAndNotedLater(party: Int) throws {
    let folder = try TemporaryFolder()
    for _ in 0..<1 {
      let ledger = try SessionLedger(path: folder.path("party\(1 - party).db"), party: 1 - party)
      try ledger.claim(SessionKey(batch: "beef", session: 0))
    }
    let listener = try Listener(Address("127.0.0.1:0"))
    let address = listener.address
    listener.close()
    func start(_ party: Int) throws -> FakeParty {
      try FakeParty(
        FakeProvider(party: party), folder: folder, listen: party == 0 ? address : nil,
        peer: party == 1 ? address : nil)
    }
    // The ledger fails after it was opened and before the two have met.
    let first = try start(party)
    #expect(first.waitForLog("listens on"))
    let journal = folder.path("party\(party).db-journal")
    try FileManager.default.createDirectory(atPath: journal, withIntermediateDirectories: false)
    let second = try start(1 - party)
    #expect(first.waitForLog("disk I/O error"))
    let parties = party == 0 ? [first, second] : [second, first]
    func begin() throws -> ClientSession {
      try ClientSession.begin(
        party0: parties[0].address, party1: parties[1].address, promptCount: 2, newCount: 4,
        timeout: .seconds(20))
    }
    #expect(throws: InputError.self) { try begin() }
    try FileManager.default.removeItem(atPath: journal)
    let session = try begin()
    #expect(session.key.session == 1)
    try session.end()
    for party in parties { try party.stop() }
    #expect(try ledgerState(folder, party: party, session: 0) == .burned)
  }

  @Test func strangersDoNotFillTheLog() {
    let lines = LogLines()
    let log = StrangerLog { lines.append($0) }
    let start = ContinuousClock.now
    for number in 0..<1000 { log.log("dropped \(number)", at: start) }
    #expect(lines.text.split(separator: "\n").count == StrangerLog.lineCount)
    log.finishWindow(at: start + .seconds(59))
    #expect(lines.text.split(separator: "\n").count == StrangerLog.lineCount)
    log.finishWindow(at: start + .seconds(61))
    #expect(lines.text.hasSuffix("dropped 980 more connections in the last minute"))
    log.log("dropped again", at: start + .seconds(62))
    #expect(lines.text.hasSuffix("dropped again"))
  }

  @Test func aPartysLogIsThrottled() throws {
    let folder = try TemporaryFolder()
    let party0 = try FakeParty(FakeProvider(party: 0), folder: folder)
    for _ in 0..<60 {
      let stranger = try FrameSocket(port: party0.address.port)
      try stranger.send(Array("GET / HTTP/1.1\r\n\r\n".utf8))
      _ = try? stranger.receiveBytes(1)
    }
    #expect(party0.log.components(separatedBy: "dropped ").count - 1 == StrangerLog.lineCount)
    try party0.stop()
  }

  /// A client that takes its output byte by byte does not hold the parties for ever.
  @Test func anOutputHasATimeForItsBytes() throws {
    let folder = try TemporaryFolder()
    let rowCount = 200_000
    var parties: [FakeParty] = []
    for party in 0..<2 {
      let provider = FakeProvider(party: party, inputWidth: 2, promptCapacity: rowCount)
      parties.append(
        try FakeParty(provider, folder: folder, peer: parties.first?.address) {
          $0.outputTimeout = (.seconds(1), 4 << 20)
        })
    }
    let request = String(repeating: "ab", count: 16)
    let clients = try parties.map {
      try FrameSocket(port: $0.address.port, receiveByteCount: 4096)
    }
    for client in clients {
      try client.send(.hello, #"{"role": "client"}"#)
      _ = try client.receive(.hello)
      try client.send(
        .begin, #"{"request": "\#(request)", "prompt": \#(rowCount), "new": 1}"#)
    }
    try clients[1].send(.seed, [UInt8](repeating: 1, count: 32))
    for client in clients { _ = try client.receive(.ready, skipping: .waiting) }
    let head = FrameSocket.firstStep(rowCount: rowCount)
    try clients[1].send(.step, head)
    try clients[0].send(.step, head + [UInt8](repeating: 0, count: 16 * rowCount))
    let start = ContinuousClock.now
    var isBurned = false
    while !isBurned, ContinuousClock.now - start < .seconds(20) {
      for client in clients { _ = try? client.receiveBytes(1) }
      usleep(50_000)
      isBurned = parties[0].log.contains("burned")
    }
    #expect(isBurned)
    #expect(ContinuousClock.now - start < .seconds(15))
    for party in parties { try party.stop() }
    #expect(parties[0].log.contains("no answer in time") || parties[1].log.contains("no answer"))
  }
}
