// Two parties and clients over loopback: sessions from hello to the ledger's last word.

import Bytes
import Foundation
import OnlineRuntime
import Testing

@Suite struct PartyServiceTests {
  /// Both parties, connected; `change` may alter either provider.
  private func pair(
    _ folder: TemporaryFolder, sessionCount: Int = 3, inputWidth: Int = fakeInputWidth,
    concurrency: Int = 4, change: (inout FakeProvider) -> Void = { _ in }
  ) throws -> (FakeParty, FakeParty) {
    let providers = (0..<2).map { party in
      var provider = FakeProvider(
        party: party, sessionCount: sessionCount, inputWidth: inputWidth)
      change(&provider)
      return provider
    }
    let party0 = try FakeParty(providers[0], folder: folder) { $0.concurrency = concurrency }
    let party1 = try FakeParty(providers[1], folder: folder, peer: party0.address) {
      $0.concurrency = concurrency
    }
    return (party0, party1)
  }

  private func begin(
    _ party0: FakeParty, _ party1: FakeParty, prompt: Int = 2, new: Int = 4,
    timeout: Duration = .seconds(20)
  ) throws -> ClientSession {
    try ClientSession.begin(
      party0: party0.address, party1: party1.address, promptCount: prompt, newCount: new,
      timeout: timeout)
  }

  private func rows(_ count: Int, width: Int = fakeInputWidth, seed: UInt64 = 1) -> [UInt64] {
    (0..<count * width).map { (UInt64($0) &+ seed) &* 0x9e37_79b9_7f4a_7c15 }
  }

  private func expected(_ rows: [UInt64], width: Int = fakeInputWidth) -> [UInt64] {
    (0..<rows.count / width).flatMap { row in
      (0..<fakeOutputWidth).map { 3 &* rows[row * width + $0] }
    }
  }

  @Test func clientsAreServedOneAfterTheOther() throws {
    let folder = try TemporaryFolder()
    let (party0, party1) = try pair(folder)
    for session in 0..<2 {
      let client = try begin(party0, party1)
      #expect(client.key == SessionKey(batch: "beef", session: session))
      var bytes = 0
      for step in 0..<4 {
        let input = rows(step == 0 ? 2 : 1, seed: UInt64(step))
        let output = try client.step(rows: input, rowCount: input.count / fakeInputWidth)
        #expect(output == expected(input))
        // What the client asks for is compared.
        bytes += 16 + 16 + 8 * input.count
        let counters = StepCounters(rounds: step + 1, bytesSent: bytes, bytesReceived: bytes)
        #expect(client.counters.party0 == counters)
        #expect(client.counters.party1 == counters)
      }
      try client.end()
    }
    try party0.stop()
    try party1.stop()
    for party in 0..<2 {
      for session in 0..<2 {
        #expect(try ledgerState(folder, party: party, session: session) == .finished)
      }
      #expect(try ledgerState(folder, party: party, session: 2) == nil)
    }
  }

  @Test func wideInputsOfManyMegabytes() throws {
    let folder = try TemporaryFolder()
    let width = 70_000
    let (party0, party1) = try pair(folder, inputWidth: width)
    let client = try begin(party0, party1, prompt: 64)
    let input = rows(64, width: width)
    #expect(try client.step(rows: input, rowCount: 64) == expected(input, width: width))
    try client.end()
    try party0.stop()
    try party1.stop()
  }

  @Test func aSecondClientWaitsForItsTurn() throws {
    let folder = try TemporaryFolder()
    let (party0, party1) = try pair(folder, concurrency: 1)
    let first = try begin(party0, party1)
    let addresses = (party0.address, party1.address)
    let notices = LogLines()
    let second = Worker {
      let client = try ClientSession.begin(
        party0: addresses.0, party1: addresses.1, promptCount: 1, newCount: 1,
        waiting: { notices.append($0) })
      try client.end()
      return client.key.session
    }
    Thread.sleep(forTimeInterval: 0.5)
    _ = try first.step(rows: rows(1), rowCount: 1)
    try first.end()
    #expect(try second.value() == 1)
    #expect(notices.text.contains("busy with other clients"))
    try party0.stop()
    try party1.stop()
  }

  @Test func impatientClientsAreToldWhyTheyWaited() throws {
    let folder = try TemporaryFolder()
    let party0 = try FakeParty(FakeProvider(party: 0), folder: folder)
    // Party 1 dials a port where nobody listens.
    let nobody = try Listener(Address("127.0.0.1:0"))
    let deadEnd = nobody.address
    nobody.close()
    let party1 = try FakeParty(FakeProvider(party: 1), folder: folder, peer: deadEnd)
    let error = #expect(throws: InputError.self) {
      try begin(party0, party1, timeout: .milliseconds(1500))
    }
    #expect(error?.cause.hasPrefix("no session in time: waiting for party 1") == true)
    try party0.stop()
    try party1.stop()
  }

  @Test(arguments: [
    (70, 4, "the prompt has 70 tokens, sessions allow 64"),
    (4, 9, "9 new tokens were asked for, sessions allow 8"),
  ])
  func tooLongRequestsAreRefused(prompt: Int, new: Int, cause: String) throws {
    let folder = try TemporaryFolder()
    let (party0, party1) = try pair(folder)
    let error = #expect(throws: InputError.self) {
      try begin(party0, party1, prompt: prompt, new: new)
    }
    #expect(error?.source == "party 0 at \(party0.address)")
    #expect(error?.cause == cause)
    // Nothing was lost by it.
    let client = try begin(party0, party1)
    #expect(client.key.session == 0)
    try client.end()
    try party0.stop()
    try party1.stop()
    #expect(try ledgerState(folder, party: 1, session: 0) == .finished)
  }

  @Test func theLastSessionIsTheLast() throws {
    let folder = try TemporaryFolder()
    let (party0, party1) = try pair(folder, sessionCount: 1)
    try begin(party0, party1).end()
    let error = #expect(throws: InputError.self) { try begin(party0, party1) }
    #expect(error?.cause == "no unused session is left: all 1 are used")
    try party0.stop()
    try party1.stop()
  }

  @Test func sessionsThatOnePartyHasUsedAreSkipped() throws {
    let folder = try TemporaryFolder()
    for _ in 0..<1 {
      let ledger = try SessionLedger(path: folder.path("party1.db"), party: 1)
      try ledger.claim(SessionKey(batch: "beef", session: 0))
    }
    let (party0, party1) = try pair(folder, sessionCount: 2)
    let client = try begin(party0, party1)
    #expect(client.key.session == 1)
    try client.end()
    let error = #expect(throws: InputError.self) { try begin(party0, party1) }
    #expect(error?.cause == "no unused session is left: all 2 are used")
    #expect(party0.log.contains("burned session 0 of batch beef: used by party 1"))
    try party0.stop()
    try party1.stop()
    #expect(try ledgerState(folder, party: 0, session: 0) == .burned)
  }

  /// A ledger of more ranges than one message holds, and of more than one batch.
  @Test(arguments: [0, 1])
  func longLedgersAreToldCompletely(party: Int) throws {
    let folder = try TemporaryFolder()
    let used =
      (0..<3200).map { SessionKey(batch: "beef", session: 2 * $0) }
      + (0..<40).map { SessionKey(batch: "f00d", session: $0) }
    for _ in 0..<1 {
      let ledger = try SessionLedger(path: folder.path("party\(party).db"), party: party)
      _ = try ledger.burn(used)
    }
    let (party0, party1) = try pair(folder, sessionCount: 2)
    let told = party == 0 ? party1 : party0
    #expect(told.waitForLog("burned 3240 sessions, the first session 0 of batch beef"))
    let client = try begin(party0, party1)
    #expect(client.key.session == 1)
    try client.end()
    try party0.stop()
    try party1.stop()
    let ledger = try SessionLedger(path: folder.path("party\(1 - party).db"), party: 1 - party)
    #expect(Set(try ledger.claimedSessions()).isSuperset(of: used))
  }

  @Test(arguments: [0, 1])
  func unreadableSessionsAreNamedAndNotClaimed(party: Int) throws {
    let folder = try TemporaryFolder()
    let (party0, party1) = try pair(folder, sessionCount: 1) { provider in
      if provider.identity.party == party { provider.unreadable = [0] }
    }
    for _ in 0..<2 {
      let error = #expect(throws: InputError.self) { try begin(party0, party1) }
      #expect(error?.cause.contains("0.corr: byte 40: digest does not match") == true)
    }
    try party0.stop()
    try party1.stop()
    for party in 0..<2 { #expect(try ledgerState(folder, party: party, session: 0) == nil) }
  }

  @Test func aClientThatLeavesBurnsItsSession() throws {
    let folder = try TemporaryFolder()
    let (party0, party1) = try pair(folder)
    for _ in 0..<1 {
      let client = try begin(party0, party1)
      _ = try client.step(rows: rows(2), rowCount: 2)
    }
    let client = try begin(party0, party1)
    #expect(client.key.session == 1)
    #expect(try client.step(rows: rows(1), rowCount: 1) == expected(rows(1)))
    try client.end()
    try party0.stop()
    try party1.stop()
    for party in 0..<2 {
      #expect(try ledgerState(folder, party: party, session: 0) == .burned)
      #expect(try ledgerState(folder, party: party, session: 1) == .finished)
    }
  }

  @Test func moreRowsThanAgreedAreRefused() throws {
    let folder = try TemporaryFolder()
    let (party0, party1) = try pair(folder)
    let client = try begin(party0, party1, prompt: 2, new: 1)
    let error = #expect(throws: InputError.self) { try client.step(rows: rows(3), rowCount: 3) }
    #expect(error?.description.contains("prompt has 3 tokens, sessions allow 2") == true)
    try begin(party0, party1).end()
    try party0.stop()
    try party1.stop()
    #expect(try ledgerState(folder, party: 0, session: 0) == .burned)
  }

  @Test(arguments: [0, 1])
  func theSurvivorTellsTheClientAndServesTheNext(killed: Int) throws {
    let folder = try TemporaryFolder()
    let (party0, party1) = try pair(folder)
    var parties = [party0, party1]
    let client = try begin(party0, party1)
    _ = try client.step(rows: rows(1), rowCount: 1)
    let start = ContinuousClock.now
    try parties[killed].stop()
    let error = #expect(throws: InputError.self) {
      while true { _ = try client.step(rows: rows(1), rowCount: 1) }
    }
    #expect(error?.source.contains("party") == true)
    #expect(parties[1 - killed].waitForLog("session 0 of batch beef burned: party \(killed)"))
    #expect(ContinuousClock.now - start < .seconds(10))
    // The killed party comes back at the same address.
    parties[killed] = try FakeParty(
      FakeProvider(party: killed), folder: folder, listen: parties[killed].address,
      peer: killed == 1 ? party0.address : nil)
    let next = try begin(parties[0], parties[1])
    #expect(next.key.session == 1)
    #expect(try next.step(rows: rows(2), rowCount: 2) == expected(rows(2)))
    try next.end()
    for party in parties { try party.stop() }
    for party in 0..<2 {
      #expect(try ledgerState(folder, party: party, session: 0) == .burned)
      #expect(try ledgerState(folder, party: party, session: 1) == .finished)
    }
  }

  @Test(arguments: [0, 1])
  func anErrorInOnePartysStepEndsTheSessionAtBoth(failing: Int) throws {
    let folder = try TemporaryFolder()
    let (party0, party1) = try pair(folder) { provider in
      if provider.identity.party == failing {
        provider.willStep = { step throws(InputError) in
          if step == 1 { throw InputError("0.corr", place: "step 1", "ends too early") }
        }
      }
    }
    let client = try begin(party0, party1)
    _ = try client.step(rows: rows(1), rowCount: 1)
    let error = #expect(throws: InputError.self) { try client.step(rows: rows(1), rowCount: 1) }
    #expect(error?.description.contains("0.corr: step 1: ends too early") == true)
    try begin(party0, party1).end()
    try party0.stop()
    try party1.stop()
    #expect(party0.log.contains("lost") == false)
    for party in 0..<2 { #expect(try ledgerState(folder, party: party, session: 0) == .burned) }
  }

  @Test func strangersCostNothing() throws {
    let folder = try TemporaryFolder()
    let (party0, party1) = try pair(folder)
    let client = try begin(party0, party1)
    for party in [party0, party1] {
      for bytes in [
        Array("GET / HTTP/1.1\r\n\r\n".utf8), [UInt8](repeating: 0xff, count: 100_000),
        [0x4c, 0x57, 4, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0] + Array("{}".utf8),
        [0x4c, 0x57, 4, 7, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0],
      ] {
        let stranger = try RawSocket(port: party.address.port)
        stranger.send(bytes)
        #expect(stranger.isClosed(withinSeconds: 8))
      }
    }
    #expect(party0.log.contains("does not speak Lodge's protocol"))
    #expect(party1.log.contains("hello.role: missing key"))
    #expect(try client.step(rows: rows(1), rowCount: 1) == expected(rows(1)))
    try client.end()
    try party0.stop()
    try party1.stop()
  }
}
