// Sessions are used once, whatever happens to processes, ledgers and folders.

import Bytes
import Foundation
import OnlineRuntime
import TestSupport
import Testing

@Suite(.serialized) struct SessionTests {
  @Test func aBatchIsUsedUpAndStaysUsed() throws {
    let servers = try Servers()
    let saved = servers.folder.file("saved")
    try FileManager.default.copyItem(atPath: servers.folder.file("correlations"), toPath: saved)
    var parties = try Parties(servers)
    var answers: [Answer] = []
    for session in 0..<Tiny.sessionCount {
      answers.append(try parties.generate())
      #expect(answers[session].session == session)
      #expect(answers[session].tokens == answers[0].tokens)
    }
    let used = "no unused session is left: all \(Tiny.sessionCount) are used"
    try parties.refuse(saying: [used])
    // After a restart with the same ledgers.
    try parties.stop()
    parties = try Parties(servers)
    try parties.refuse(saying: [used])
    try parties.stop()
    // After the folders are copied back.
    try FileManager.default.removeItem(atPath: servers.folder.file("correlations"))
    try FileManager.default.copyItem(atPath: saved, toPath: servers.folder.file("correlations"))
    parties = try Parties(servers)
    try parties.refuse(saying: [used])
    try parties.stop()
    // More sessions of the same batch are new ones.
    try Tiny.deal(
      servers.folder.path, into: servers.folder.file("correlations"),
      sessions: Tiny.sessionCount + 1)
    parties = try Parties(servers)
    #expect(try parties.generate().session == Tiny.sessionCount)
    try parties.stop()
  }

  /// A session that ends at an end token costs no further steps, and counts as finished.
  @Test func generationEndsAtAnEndToken() throws {
    let servers = try Servers()
    let parties = try Parties(servers)
    let whole = try parties.generate()
    #expect(whole.tokens.count == Tiny.newCapacity)
    let settings = try servers.folder.write(
      #"{"eos_token_id": [\#(whole.tokens[0]), 10000]}"#.utf8, to: "generation_config.json")
    let ended = try parties.generate(["--stop", settings])
    #expect(ended.tokens == [whole.tokens[0]] && ended.steps.count == 1)
    #expect(ended.session == 1)
    #expect(ended.total.rounds < whole.total.rounds)
    try parties.refuse(["--stop", "-1"], saying: ["a token id is not negative"])
    try parties.stop()
    // The plaintext model ends there, too.
    let out = servers.folder.file("logits.npy")
    let prompt = try servers.folder.write("[3,1,4]".utf8, to: "p.json")
    let plain = try Tool.succeed(
      "lodge-model",
      [
        "logits", try Tiny.converted.get(), "--tokens", prompt, "--new", "3", "--out", out,
        "--stop", settings,
      ])
    #expect(plain.contains("[\(whole.tokens[0])]\n"))
    #expect(try NPY.readFloats(out).shape == [1, 11])
  }

  /// One party that has lost its ledger cannot make the other repeat a session.
  @Test(arguments: [0, 1])
  func aLostLedgerOfOnePartyRepeatsNothing(party: Int) throws {
    let servers = try Servers()
    var parties = try Parties(servers)
    try parties.generate()
    try parties.stop()
    try FileManager.default.removeItem(atPath: servers.folder.file("party\(party).ledger"))
    parties = try Parties(servers)
    #expect(try parties.generate().session == 1)
    try parties.stop()
  }

  /// An old copy of a ledger is repaired by the other party's, so that putting back old copies one
  /// after the other un-burns nothing either.
  @Test(arguments: [0, 1])
  func restoredLedgersAreNoticedAndRepaired(first: Int) throws {
    let servers = try Servers()
    let ledgers = (0...1).map { servers.folder.file("party\($0).ledger") }
    for party in 0...1 {
      _ = try SessionLedger(path: ledgers[party], party: party)
      try FileManager.default.copyItem(atPath: ledgers[party], toPath: "\(ledgers[party]).old")
    }
    var parties = try Parties(servers)
    #expect(try parties.generate().session == 0)
    #expect(try parties.generate().session == 1)
    for party in [first, 1 - first] {
      try parties.stop()
      try FileManager.default.removeItem(atPath: ledgers[party])
      try FileManager.default.copyItem(atPath: "\(ledgers[party]).old", toPath: ledgers[party])
      parties = try Parties(servers)
      try parties[party].tool.await("burned 2 sessions, the first session 0 of batch")
    }
    #expect(try parties.generate().session == 2)
    try parties.refuse(saying: ["no unused session is left"])
    try parties.stop()
  }

  /// A ledger in the folder of sessions would be put back with it.
  @Test func aLedgerAmongTheSessionsIsRefused() throws {
    let servers = try Servers()
    var arguments = servers.arguments(0) + ["--peer", "127.0.0.1:1"]
    arguments[9] = servers.correlations(0) + "/party0.ledger"
    try Tool.fail(
      "lodge-party", arguments,
      saying: ["party0.ledger", "lies in the folder of the sessions that it watches over"])
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: servers.correlations(0))
        .allSatisfy { $0.hasSuffix(".corr") })
  }

  @Test func twoProcessesCannotServeOneFolder() throws {
    let servers = try Servers()
    let party0 = try PartyProcess(servers, 0, peer: "127.0.0.1:0")
    var arguments = servers.arguments(0) + ["--peer", "127.0.0.1:1"]
    arguments[9] = servers.folder.file("another.ledger")
    try Tool.fail(
      "lodge-party", arguments,
      saying: [
        servers.correlations(0), "another process uses the sessions in this folder",
      ])
    // A killed process leaves no lock behind.
    party0.tool.kill()
    try PartyProcess(servers, 0, peer: "127.0.0.1:0").stop()
  }

  @Test func theLedgerOfTheOtherPartyIsRefused() throws {
    let servers = try Servers()
    _ = try SessionLedger(path: servers.folder.file("party0.ledger"), party: 1)
    try Tool.fail(
      "lodge-party", servers.arguments(0) + ["--peer", "127.0.0.1:1"],
      saying: ["party0.ledger", "is the ledger of party 1, not of party 0"])
    _ = try servers.folder.write("no database at all".utf8, to: "party0.ledger")
    try Tool.fail(
      "lodge-party", servers.arguments(0) + ["--peer", "127.0.0.1:1"], saying: ["party0.ledger"])
  }

  @Test func twoProcessesCannotShareALedger() throws {
    let servers = try Servers()
    let party0 = try PartyProcess(servers, 0, peer: "127.0.0.1:0")
    try Tool.fail(
      "lodge-party", servers.arguments(0) + ["--peer", "127.0.0.1:1"],
      saying: ["party0.ledger", "another process uses this ledger"])
    try party0.stop()
  }

  @Test func requestsThatDoNotFitAreRefused() throws {
    let parties = try Parties(Servers())
    try parties.refuse(
      prompt: [1, 2, 3, 4], saying: ["the prompt has 4 tokens, sessions allow 3"])
    try parties.refuse(
      prompt: [1], newCount: 4, saying: ["4 new tokens were asked for, sessions allow 3"])
    // None of them has used a session; a wrong token is found before a session is asked for.
    try parties.refuse(prompt: [1, 11], saying: ["position 1", "token 11"])
    #expect(try parties.generate().session == 0)
    try parties.stop()
  }

  /// Clients that come together are served in turn, each with a session of its own.
  @Test func clientsTakeTurns() throws {
    let parties = try Parties(Servers())
    let clients = try (0..<Tiny.sessionCount).map { _ in
      try RunningTool("lodge-client", parties.clientArguments() + ["--json"])
    }
    var answers: [Answer] = []
    for client in clients {
      #expect(try client.wait(.seconds(60)) == 0)
      answers.append(try Answer(client.output))
    }
    #expect(Set(answers.map(\.session)) == Set(0..<Tiny.sessionCount))
    #expect(Set(answers.map(\.tokens)).count == 1)
    try parties.stop()
  }

  @Test func clientsCheckTheirFilesFirst() throws {
    let parties = try Parties(Servers())
    for (text, part) in [("[]", "no tokens"), ("[[1],[2]]", "2 token lists"), ("{", "byte")] {
      let tokens = try parties.servers.folder.write(text.utf8, to: "tokens.json")
      var arguments = try parties.clientArguments()
      arguments[5] = tokens
      try Tool.fail("lodge-client", arguments, saying: [tokens, part])
    }
    let nowhere = parties.servers.folder.file("no/such/logits.npy")
    try parties.refuse(["--logits", nowhere], saying: [nowhere])
    try parties.refuse(["--bundle", parties.servers.bundle(0)], saying: ["party0.bundle", "kind"])
    #expect(try parties.generate().session == 0)
    try parties.stop()
  }

  /// Damage is found when the party starts, or when the session is about to be used; the next one
  /// serves, even where the first file of all is the damaged one.
  @Test(arguments: [0, 1], [BadContainerTests.Damage.empty, .cutLate, .middle])
  func aDamagedSessionIsSkippedUnused(party: Int, kind: BadContainerTests.Damage) throws {
    let servers = try Servers()
    try kind.apply(to: servers.session(0, party))
    let parties = try Parties(servers)
    #expect(try parties.generate().session == 1)
    #expect(try parties[party].tool.messages.contains("000000.corr"))
    try parties.stop()
    let ledger = try SessionLedger(path: servers.folder.file("party\(party).ledger"), party: party)
    let batch = try servers.batch()
    #expect(try ledger.state(of: SessionKey(batch: batch, session: 0)) == nil)
    #expect(try ledger.state(of: SessionKey(batch: batch, session: 1)) == .finished)
  }

  /// What is cut off a file while its session runs ends that session, and not the party.
  @Test(arguments: [0, 1]) func aSessionThatIsCutShortIsBurned(party: Int) throws {
    let servers = try Servers()
    let parties = try Parties(servers)
    let client = try parties.begin()
    try client.stepOneRow()
    let path = servers.session(client.key.session, party)
    try #require(unsafe truncate(path, 4096) == 0)
    let error = inputError { try client.stepOneRow() }
    #expect(error?.cause.contains("was cut short while it was open") == true, "\(error as Any)")
    #expect(try parties.generate().session == 1)
    try parties.stop()
    let ledger = try SessionLedger(path: servers.folder.file("party\(party).ledger"), party: party)
    #expect(try ledger.state(of: client.key) == .burned)
  }

  /// A user does not wait for a provider that is stopped, neither for its greeting nor in a step.
  @Test func aStoppedProviderIsGivenUp() throws {
    let files = try ProviderFiles(sessionCount: 2)
    let provider = try files.provider()
    let sessions = files.folder.file("correlations/party1")
    let user = try BundleProvider(
      party: 1, bundlePath: files.folder.file("roles/user/user.bundle"),
      correlationFolder: sessions, isUser: true)
    let ledger = PatientLedger(try files.ledgerOf(1))
    func begin() throws -> UserSession {
      try UserSession.begin(
        provider: Address(provider.address), files: user, ledger: ledger, promptCount: 2,
        newCount: 2, silence: .seconds(1))
    }
    let session = try begin()
    let row = (0..<user.identity.inputWidth).map { $0 == 3 ? UInt64(1) : 0 }
    _ = try session.step(rows: row, rowCount: 1)
    provider.tool.signal(SIGSTOP)
    let error = inputError { _ = try session.step(rows: row, rowCount: 1) }
    #expect(error?.description == "provider at \(provider.address): silent for 1.00 s (--silence)")
    #expect(inputError { _ = try begin() }?.cause == "no answer in time")
    provider.tool.signal(SIGCONT)
    #expect(try begin().key.session == 1)
    try provider.stop()
    #expect(try files.ledgerOf(0).state(of: session.key) == .burned)
  }

  @Test func withoutSessionsClientsAreTold() throws {
    let servers = try Servers()
    for party in 0...1 {
      let folder = servers.correlations(party)
      for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
        try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
      }
    }
    let parties = try Parties(servers)
    try parties.refuse(saying: ["there are no sessions"])
    try parties.stop()
  }
}
