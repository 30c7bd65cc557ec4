// Parties that miss, mistake or lose each other.

import Bytes
import Foundation
import OnlineRuntime
import TestSupport
import Testing

@Suite(.serialized) struct PeerTests {
  @Test(arguments: [0, 1])
  func aMissingPeerIsNamed(party: Int) throws {
    let servers = try Servers()
    try Tool.fail(
      "lodge-party",
      servers.arguments(party) + ["--peer", "127.0.0.1:1", "--peer-timeout", "1s"],
      saying: ["127.0.0.1:1", "party \(1 - party) did not come within 1 s"])
  }

  @Test func clientsNameThePartyThatIsMissing() throws {
    let servers = try Servers()
    let party0 = try PartyProcess(servers, 0, peer: "127.0.0.1:0")
    let prompt = try servers.folder.write("[1]".utf8, to: "prompt.json")
    try Tool.fail(
      "lodge-client",
      ["--party0", party0.address, "--party1", "127.0.0.1:1", "--tokens", prompt, "--new", "1"],
      saying: ["127.0.0.1:1", "refused"])
    try party0.stop()
  }

  @Test func exchangedAddressesAreNamed() throws {
    let parties = try Parties(Servers())
    var arguments = try parties.clientArguments()
    arguments.swapAt(1, 3)
    try Tool.fail("lodge-client", arguments, saying: [parties.party1.address, "this is party 1"])
    try parties.stop()
  }

  @Test func twoPartiesOfTheSameNumberBothSaySo() throws {
    let servers = [try Servers(), try Servers()]
    let first = try PartyProcess(servers[0], 0, peer: "127.0.0.1:0")
    let second = try PartyProcess(servers[1], 0, peer: first.address)
    for party in [first, second] { try expectEnd(of: party, saying: "both are party 0") }
  }

  @Test func bundlesOfTwoConversionsBothSaySo() throws {
    let party0 = try PartyProcess(Servers(), 0, peer: "127.0.0.1:0")
    let party1 = try PartyProcess(Servers(Tiny.second), 1, peer: party0.address)
    for party in [party0, party1] {
      try expectEnd(of: party, saying: "its bundle is of conversion")
    }
  }

  private func expectEnd(
    of party: PartyProcess, saying part: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let status = try party.tool.wait(.seconds(15), sourceLocation: sourceLocation)
    Tool.expectFailure(
      Tool.Outcome(
        status: status, output: try party.tool.output, messages: try party.tool.messages),
      of: "lodge-party", saying: ["wrong peer", part], sourceLocation: sourceLocation)
  }

  @Test func portsInUseAreNamed() throws {
    let servers = try Servers()
    let party0 = try PartyProcess(servers, 0, peer: "127.0.0.1:0")
    try Tool.fail(
      "lodge-party",
      servers.arguments(1, listen: party0.address) + ["--peer", "127.0.0.1:1"],
      saying: [party0.address, "the port is in use"])
    try party0.stop()
  }

  @Test(arguments: ["9000", "127.0.0.1:99999", "::1:9000", "no.such.host.invalid:9000"])
  func wrongAddressesAreNamed(address: String) throws {
    let servers = try Servers()
    try Tool.fail(
      "lodge-party", servers.arguments(0, listen: address) + ["--peer", "127.0.0.1:1"],
      saying: [address])
  }

  /// A party dies while the other waits for its opening: that one stops at once, burns the session,
  /// and serves the next when the dead one is back, which has burned it as well.
  @Test(arguments: [0, 1])
  func theSurvivorOfAKilledPeerServesTheNext(killed: Int) throws {
    var parties = try Parties(Servers())
    let client = try parties.begin()
    try client.stepOneRow()
    // Frozen, it takes its bytes but answers nothing: the other is in the middle of a step.
    let dead = parties[killed].tool
    dead.signal(SIGSTOP)
    let identifier = dead.identifier
    Thread.detachNewThread {
      usleep(300_000)
      _ = kill(identifier, SIGKILL)
    }
    let started = ContinuousClock.now
    #expect {
      try client.stepOneRow()
    } throws: { "\($0)".contains("party \(killed)") }
    try parties[1 - killed].tool.await("burned", limit: .seconds(10))
    #expect(ContinuousClock.now - started < .seconds(10))

    try restart(&parties, killed)
    let answer = try parties.generate()
    #expect(answer.session == 1)
    try parties.stop()
    try expectStates(parties.servers, ["burned", "finished"])
  }

  /// A party dies right after it has claimed a session, before anything of it was used.
  @Test(arguments: [0, 1])
  func aClaimedSessionOfAKilledPartyIsBurned(killed: Int) throws {
    var parties = try Parties(Servers())
    let client = try parties.begin()
    try parties[killed].tool.await("starts for client")
    parties[killed].tool.kill()
    #expect(throws: InputError.self) { try client.stepOneRow() }
    try parties[1 - killed].tool.await("burned", limit: .seconds(10))
    try restart(&parties, killed)
    #expect(try parties.generate().session == 1)
    try parties.stop()
    try expectStates(parties.servers, ["burned", "finished"])
  }

  /// Starts a killed party again, at the address where the other one looks for it.
  private func restart(_ parties: inout Parties, _ party: Int) throws {
    if party == 0 {
      parties.party0 = try PartyProcess(
        parties.servers, 0, peer: "127.0.0.1:0", listen: parties.party0.address)
    } else {
      parties.party1 = try PartyProcess(parties.servers, 1, peer: parties.party0.address)
    }
  }

  /// Compares what both ledgers hold with `states`, session by session.
  private func expectStates(_ servers: Servers, _ states: [String]) throws {
    let batch = try servers.batch()
    for party in 0...1 {
      let ledger = try SessionLedger(
        path: servers.folder.file("party\(party).ledger"), party: party)
      for (session, state) in states.enumerated() {
        let found = try ledger.state(of: SessionKey(batch: batch, session: session))
        #expect(found?.rawValue == state, "party \(party), session \(session)")
      }
    }
  }

  /// SIGTERM ends a waiting party, a connected one, and one in the middle of a session.
  @Test func partiesStopWhenTheyAreAsked() throws {
    let servers = try Servers()
    let waiting = try PartyProcess(servers, 1, peer: "127.0.0.1:1")
    try waiting.stop()
    let parties = try Parties(servers)
    let client = try parties.begin()
    try client.stepOneRow()
    try parties.party0.stop()
    #expect {
      try client.stepOneRow()
    } throws: { "\($0)".contains("stopped") }
    try parties.party1.tool.await("burned")
    try parties.party1.stop()
    for party in 0...1 { try expectNoError(in: parties[party]) }
  }

  /// SIGTERM is heard from the moment on at which a party says where it listens.
  @Test func partiesThatJustStartedStop() throws {
    let servers = try Servers()
    for _ in 0..<20 { try PartyProcess(servers, 1, peer: "127.0.0.1:1").stop() }
  }

  /// When both stop in order, neither log speaks of an error.
  @Test(arguments: [0, 1])
  func anOrderlyStopLooksLikeOne(first: Int) throws {
    let parties = try Parties(Servers())
    try parties.generate()
    try parties[first].stop()
    try parties[1 - first].tool.await("lost party")
    try parties[1 - first].stop()
    for party in 0...1 { try expectNoError(in: parties[party]) }
  }

  private func expectNoError(in party: PartyProcess) throws {
    let log = try party.tool.messages
    #expect(!log.contains("error"), "\(log)")
  }
}
