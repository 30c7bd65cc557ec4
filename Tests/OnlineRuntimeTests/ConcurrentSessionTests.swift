// Several sessions at once on one pair of parties: what one of them does is nothing to the others.

import Bytes
import Foundation
import OnlineRuntime
import Synchronization
import TestSupport
import Testing
import Trust

@Suite struct ConcurrentSessionTests {
  /// Both parties; `change` may alter either provider.
  private func pair(
    _ folder: TemporaryFolder, sessionCount: Int = 4,
    change: (inout FakeProvider) -> Void = { _ in },
    configure: (inout PartyConfiguration) -> Void = { _ in }
  ) throws -> [FakeParty] {
    var parties: [FakeParty] = []
    for party in 0..<2 {
      var provider = FakeProvider(party: party, sessionCount: sessionCount)
      change(&provider)
      parties.append(
        try FakeParty(
          provider, folder: folder, peer: parties.first?.address, configure: configure))
    }
    return parties
  }

  private func begin(
    _ parties: [FakeParty], prompt: Int = 2, new: Int = 4, waiting: (String) -> Void = { _ in }
  ) throws -> ClientSession {
    try ClientSession.begin(
      party0: parties[0].address, party1: parties[1].address, promptCount: prompt, newCount: new,
      timeout: .seconds(20), waiting: waiting)
  }

  private func rows(_ count: Int, seed: UInt64 = 1) -> [UInt64] {
    (0..<count * fakeInputWidth).map { (UInt64($0) &+ seed) &* 0x9e37_79b9_7f4a_7c15 }
  }

  private func expected(_ rows: [UInt64]) -> [UInt64] {
    (0..<rows.count / fakeInputWidth).flatMap { row in
      (0..<fakeOutputWidth).map { 3 &* rows[row * fakeInputWidth + $0] }
    }
  }

  private func states(_ folder: TemporaryFolder, _ session: Int) throws -> [SessionLedger.State?] {
    try (0..<2).map { try ledgerState(folder, party: $0, session: session) }
  }

  /// Steps of four sessions in turns; each lane carries its own and counts its own.
  @Test func sessionsRunSideBySide() throws {
    let folder = try TemporaryFolder()
    let parties = try pair(folder)
    let clients = try (0..<4).map { _ in try begin(parties) }
    #expect(Set(clients.map(\.key.session)) == [0, 1, 2, 3])
    for step in 0..<3 {
      for (number, client) in clients.enumerated().reversed() {
        let input = rows(1, seed: UInt64(10 * step + number))
        #expect(try client.step(rows: input, rowCount: 1) == expected(input))
        let byteCount = (step + 1) * (16 + 16 + 8 * fakeInputWidth)
        let counters = StepCounters(
          rounds: step + 1, bytesSent: byteCount, bytesReceived: byteCount)
        #expect(client.counters.party0 == counters)
      }
    }
    for client in clients { try client.end() }
    for party in parties { try party.stop() }
    for session in 0..<4 { #expect(try states(folder, session) == [.finished, .finished]) }
  }

  /// A client that vanishes in the middle of a step burns its own session.
  @Test func aLostSessionBurnsItselfAlone() throws {
    let folder = try TemporaryFolder()
    let parties = try pair(folder)
    let first = try begin(parties)
    for _ in 0..<1 {
      let lost = try begin(parties)
      _ = try lost.step(rows: rows(2), rowCount: 2)
    }
    let third = try begin(parties)
    for client in [first, third] {
      let start = ContinuousClock.now
      #expect(try client.step(rows: rows(2), rowCount: 2) == expected(rows(2)))
      #expect(ContinuousClock.now - start < .seconds(1))
    }
    #expect(parties[0].waitForLog("session 1 of batch beef burned"))
    // The lane serves the next.
    let fourth = try begin(parties)
    #expect(fourth.key.session == 3)
    for client in [first, third, fourth] { try client.end() }
    for party in parties { try party.stop() }
    #expect(try states(folder, 1) == [.burned, .burned])
    for session in [0, 2, 3] { #expect(try states(folder, session) == [.finished, .finished]) }
  }

  /// A party that computes for one client serves others.
  @Test func aSlowSessionHoldsNobodyUp() throws {
    let folder = try TemporaryFolder()
    let hold = Mutex(true)
    let parties = try pair(folder) { provider in
      guard provider.identity.party == 1 else { return }
      provider.willStep = { step throws(InputError) in
        while step == 1, hold.withLock({ $0 }) { usleep(1000) }
      }
    }
    let addresses = parties.map(\.address)
    let isStepping = Mutex(false)
    let slow = Worker {
      let client = try ClientSession.begin(
        party0: addresses[0], party1: addresses[1], promptCount: 1, newCount: 4)
      _ = try client.step(rows: [1, 2, 3, 4, 5], rowCount: 1)
      isStepping.withLock { $0 = true }
      _ = try client.step(rows: [1, 2, 3, 4, 5], rowCount: 1)
      try client.end()
    }
    while !isStepping.withLock({ $0 }) { usleep(1000) }
    let start = ContinuousClock.now
    for _ in 0..<2 {
      let quick = try begin(parties)
      #expect(try quick.step(rows: rows(1), rowCount: 1) == expected(rows(1)))
      try quick.end()
    }
    #expect(ContinuousClock.now - start < .seconds(1))
    hold.withLock { $0 = false }
    try slow.value()
    for party in parties { try party.stop() }
  }

  /// A client that does not read its output, which fills the buffers on the way, costs its own session.
  @Test func aSlowReaderHoldsNobodyUp() throws {
    let folder = try TemporaryFolder()
    let rowCount = 400_000
    let parties = try pair(
      folder, change: { $0.sessions[0].promptCapacity = rowCount },
      configure: { $0.outputTimeout = (.seconds(2), 64 << 20) })
    let request = String(repeating: "ab", count: 16)
    let slow = try parties.map {
      try FrameSocket(port: $0.address.port, receiveByteCount: 4096)
    }
    for client in slow {
      try client.send(.hello, #"{"role": "client"}"#)
      _ = try client.receive(.hello)
      try client.send(
        .begin, #"{"request": "\#(request)", "prompt": \#(rowCount), "new": 1}"#)
    }
    try slow[1].send(.seed, [UInt8](repeating: 1, count: 32))
    for client in slow { _ = try client.receive(.ready, skipping: .waiting) }
    let head = FrameSocket.firstStep(rowCount: rowCount)
    try slow[1].send(.step, head)
    try slow[0].send(.step, head + [UInt8](repeating: 0, count: 8 * fakeInputWidth * rowCount))
    let start = ContinuousClock.now
    while !parties[0].log.contains("session 0 of batch beef burned"),
      ContinuousClock.now - start < .seconds(10)
    {
      let start = ContinuousClock.now
      let quick = try begin(parties, prompt: 1, new: 2)
      #expect(try quick.step(rows: rows(1), rowCount: 1) == expected(rows(1)))
      try quick.end()
      #expect(ContinuousClock.now - start < .seconds(1))
      if quick.key.session == 3 { break }
    }
    #expect(parties[0].waitForLog("session 0 of batch beef burned"))
    for party in parties { try party.stop() }
    #expect(try states(folder, 0)[0] == .burned)
    withExtendedLifetime(slow) {}
  }

  /// A client with many requests does not keep another with one from its turn.
  @Test func aGreedyClientIsServedInTurn() throws {
    let parties = try KeyedParties(sessionCount: 8, concurrency: 1)
    let first = try parties.begin()
    let order = Mutex<[String]>([])
    func ask(_ name: String, _ key: TLSContext) -> Worker<Void> {
      Worker {
        let session = try parties.begin(as: key)
        order.withLock { $0.append(name) }
        try session.end()
      }
    }
    func waiting(_ count: Int) {
      while parties.party0.log.components(separatedBy: "asks for").count - 1 < count
        || parties.party1.log.components(separatedBy: "asks for").count - 1 < count
      {
        usleep(5000)
      }
    }
    let greedy = (0..<4).map { _ in ask("greedy", parties.client) }
    waiting(5)
    let modest = ask("modest", parties.other)
    waiting(6)
    usleep(300_000)
    try first.end()
    for worker in greedy + [modest] { try worker.value() }
    #expect(order.withLock { $0.firstIndex(of: "modest") } == 0)
    try parties.stop()
  }

  /// With the smaller of both numbers taken, the next client waits.
  @Test(arguments: [0, 1])
  func theSmallerLimitCounts(party: Int) throws {
    let folder = try TemporaryFolder()
    // Party 0 has no port to ask at.
    let parties = try pair(
      folder, configure: { $0.concurrency = $0.peer?.port == 0 ? 1 + party : 2 - party })
    let first = try begin(parties)
    let addresses = parties.map(\.address)
    let notices = LogLines()
    let second = Worker {
      let client = try ClientSession.begin(
        party0: addresses[0], party1: addresses[1], promptCount: 1, newCount: 1,
        waiting: { notices.append($0) })
      try client.end()
      return client.key.session
    }
    while notices.text.isEmpty { usleep(10_000) }
    try first.end()
    #expect(try second.value() == 1)
    for party in parties { try party.stop() }
  }

  /// Who has nothing running comes before who has, and then who was served longest ago.
  @Test func turnsAreFair() {
    var turns = Turns()
    #expect(turns.next(among: []) == nil)
    #expect(turns.next(among: ["greedy", "greedy", "modest"]) == 0)
    turns.begin("greedy")
    #expect(turns.next(among: ["greedy", "greedy", "modest"]) == 2)
    turns.begin("modest")
    turns.end("greedy")
    // One has nothing running.
    #expect(turns.next(among: ["modest", "greedy"]) == 1)
    turns.end("modest")
    // Nobody has; "greedy" was served before "modest", a third never.
    #expect(turns.next(among: ["modest", "greedy"]) == 1)
    #expect(turns.next(among: ["modest", "greedy", "new"]) == 2)
    #expect(turns.runningCount == 0)
    // Four that ask again at once, one at a time, do not starve one with many requests.
    var served = ["many": 0]
    for _ in 0..<50 {
      let waiting = ["many", "many", "a", "b", "c", "d"]
      guard let index = turns.next(among: waiting) else { return }
      turns.begin(waiting[index])
      turns.end(waiting[index])
      served[waiting[index], default: 0] += 1
    }
    #expect(served.values.allSatisfy { $0 == 10 })
  }

  /// A session that does not fit beside the others waits until it does, at either party.
  @Test(arguments: [0, 1])
  func memoryIsKept(party: Int) throws {
    let folder = try TemporaryFolder()
    let parties = try pair(
      folder,
      change: { provider in
        guard provider.identity.party == party else { return }
        for index in provider.sessions.indices { provider.sessions[index].memoryByteCount = 60 }
        provider.sessions[3].memoryByteCount = 101
        provider.sessions[3].promptCapacity = 65
      },
      configure: { $0.memoryByteCount = 100 })
    let first = try begin(parties)
    let addresses = parties.map(\.address)
    let isReady = Mutex(false)
    let second = Worker {
      let client = try ClientSession.begin(
        party0: addresses[0], party1: addresses[1], promptCount: 1, newCount: 1)
      isReady.withLock { $0 = true }
      try client.end()
      return client.key.session
    }
    usleep(300_000)
    #expect(!isReady.withLock { $0 })
    #expect(try first.step(rows: rows(1), rowCount: 1) == expected(rows(1)))
    try first.end()
    #expect(try second.value() == 1)
    // One that never fits is refused.
    if party == 0 {
      let error = #expect(throws: InputError.self) { try begin(parties, prompt: 65) }
      #expect(error?.cause.contains("takes 101 B while it runs") == true)
    }
    for party in parties { try party.stop() }
  }

  /// The smallest session that is long enough is used; lower numbers wait for who needs them.
  @Test func smallSessionsForSmallPrompts() throws {
    let folder = try TemporaryFolder()
    let parties = try pair(folder) { provider in
      provider.sessions[2].promptCapacity = 16
      provider.sessions[3].promptCapacity = 2
    }
    var sessions: [Int] = []
    for prompt in [3, 2, 17, 1] {
      let client = try begin(parties, prompt: prompt)
      sessions.append(client.key.session)
      try client.end()
    }
    #expect(sessions == [2, 3, 0, 1])
    for party in parties { try party.stop() }
  }

  /// A party that is asked to end finishes the step that runs, and says so to all.
  @Test(arguments: [0, 1])
  func anEndIsToldAfterTheStep(party: Int) throws {
    let folder = try TemporaryFolder()
    let parties = try pair(
      folder,
      change: { provider in
        provider.willStep = { step throws(InputError) in if step == 1 { usleep(400_000) } }
      }, configure: { $0.concurrency = 1 })
    let addresses = parties.map(\.address)
    let client = try begin(parties)
    _ = try client.step(rows: rows(1), rowCount: 1)
    let waits = Mutex(false)
    let waiting = Worker {
      do {
        _ = try ClientSession.begin(
          party0: addresses[0], party1: addresses[1], promptCount: 1, newCount: 1,
          waiting: { _ in waits.withLock { $0 = true } })
        return ""
      } catch let error as InputError {
        return error.description
      }
    }
    while !waits.withLock({ $0 }) { usleep(10_000) }
    let service = parties[party].service
    let asking = Worker {
      usleep(100_000)
      service.finish()
    }
    #expect(try client.step(rows: rows(1), rowCount: 1) == expected(rows(1)))
    let error = #expect(throws: InputError.self) {
      while true { _ = try client.step(rows: rows(1), rowCount: 1) }
    }
    #expect(error?.description.contains("party \(party) is being stopped") == true)
    #expect(try waiting.value().contains("party \(party) is being stopped"))
    try asking.value()
    try parties[party].worker.value(seconds: 15)
    try parties[1 - party].stop()
    #expect(try states(folder, 0) == [.burned, .burned])
  }

  /// A lane that is lost costs the session on it; one that speaks before its time is closed.
  @Test func lanesAreLostOneByOne() throws {
    let folder = try TemporaryFolder()
    let party0 = try FakeParty(FakeProvider(party: 0), folder: folder) { $0.concurrency = 2 }
    let peer = try PeerSocket(ofPartyZero: party0.address.port)
    let lanes = try (0..<2).map { _ in try peer.lane() }
    // No more than party 0 has said.
    #expect(throws: InputError.self) { _ = try peer.lane().receive() }
    let requests = ["a", "b"].map { String(repeating: $0, count: 32) }
    let clients = try requests.map { request in
      let client = try FrameSocket(port: party0.address.port)
      try client.send(.hello, #"{"role": "client"}"#)
      _ = try client.receive(.hello)
      try client.send(.begin, #"{"request": "\#(request)", "prompt": 2, "new": 4}"#)
      return client
    }
    let seen = requests.map { #"{"request": "\#($0)", "prompt": 2, "new": 4, "client": ""}"# }
    try peer.socket.send(.clients, #"{"clients": [\#(seen.joined(separator: ","))]}"#)
    for lane in lanes {
      let proposal = try lane.receive(.proposal).text
      let session = try #require(proposal.firstMatch(of: /"session":([0-9]+)/)).1
      try lane.send(.acceptance, #"{"batch": "beef", "session": \#(session)}"#)
    }
    for client in clients { _ = try client.receive(.ready, skipping: .waiting) }
    lanes[0].endSending()
    #expect(party0.waitForLog("burned: "))
    // The other still is in its session: its step comes through to its lane.
    let step =
      FrameSocket.firstStep(rowCount: 1) + [UInt8](repeating: 0, count: 8 * fakeInputWidth)
    for client in clients { try? client.send(.step, step) }
    #expect(try lanes[1].receive(.words).payload.count == 16 + 8 * fakeInputWidth)
    try party0.stop()
    #expect(party0.log.components(separatedBy: "burned: ").count - 1 == 2)
  }
}
