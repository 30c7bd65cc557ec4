// What is left of a batch, keeping a stock, and dealing that is refused before it starts.

import Bytes
import Correlations
import Foundation
import OnlineRuntime
import Program
import Sharing
import TestSupport
import Testing

@Suite(.serialized) struct StockTests {
  private struct Status {
    var ready: Int
    var readyTokens: Int
    var readyBytes: Int
    /// Ready, claimed, finished, burned of each party; nil without its ledger.
    var parties: [[Int?]]
  }

  private func status(_ folder: String, _ ledgers: [String]) throws -> Status {
    let text = try Tool.succeed("lodge-deal", ["status", folder, "--json"] + ledgers)
    var document = try JSONReader(
      JSON.parse(Array(text.utf8), source: "status"), source: "status")
    let batches = try document.array("batches")
    try #require(batches.count == 1)
    var batch = try JSONReader(batches[0], source: "status")
    let parties = try batch.array("parties").map { json in
      var party = try JSONReader(json, source: "status")
      return try ["ready", "claimed", "finished", "burned"].map { key -> Int? in
        if case .integer(let count) = try party.value(key) { return count }
        return nil
      }
    }
    return try Status(
      ready: batch.integer("ready"), readyTokens: batch.integer("readyTokens"),
      readyBytes: batch.integer("readyBytes"), parties: parties)
  }

  private func keep(_ count: Int, _ servers: Servers, _ more: [String] = []) -> [String] {
    [
      servers.folder.file("shares"), "--keep", "\(count)", "--prompt", "\(Tiny.promptCapacity)",
      "--new", "\(Tiny.newCapacity)", "--out", servers.folder.file("correlations"), "--json",
    ] + more
  }

  private func dealt(_ arguments: [String]) throws -> [Int] {
    let text = try Tool.succeed("lodge-deal", arguments)
    var reader = try JSONReader(JSON.parse(Array(text.utf8), source: "deal"), source: "deal")
    return try reader.integers("dealt")
  }

  @Test func theStockIsShownAndKept() throws {
    let servers = try Servers()
    let folder = servers.folder.file("correlations")
    let ledgers = (0...1).flatMap { ["--ledger\($0)", servers.folder.file("party\($0).ledger")] }
    let bytes = try (0..<Tiny.sessionCount).reduce(0) { sum, session in
      try (0...1).reduce(sum) {
        let path = servers.session(session, $1)
        return try $0 + Data(contentsOf: URL(filePath: path)).count
      }
    }
    var found = try status(folder, [])
    #expect(found.ready == 3 && found.readyBytes == bytes && found.readyTokens == 3 * 6)
    #expect(found.parties == [[3, nil, nil, nil], [3, nil, nil, nil]])

    // One session finished; one in use while the parties run, burned when they are gone.
    let parties = try Parties(servers)
    try parties.generate()
    let client = try parties.begin()
    try client.stepOneRow()
    found = try status(folder, ledgers)
    #expect(found.ready == 1 && found.readyBytes == bytes / 3)
    #expect(found.parties == [[1, 1, 1, 0], [1, 1, 1, 0]])
    for party in 0...1 { parties[party].tool.kill() }
    found = try status(folder, ledgers)
    #expect(found.parties == [[1, 0, 1, 1], [1, 0, 1, 1]])
    // At a server: its own folder and ledger.
    found = try status(servers.correlations(1), Array(ledgers[2...]))
    #expect(found.parties == [[1, 0, 1, 1]])
    let text = try Tool.succeed("lodge-deal", ["status", folder] + ledgers)
    #expect(text.contains("Ready at both parties: 1 session, 6 tokens"))

    // Two are missing to three; used numbers are not dealt again, halves are.
    #expect(try dealt(keep(3, servers, ledgers)) == [3, 4])
    #expect(try dealt(keep(3, servers, ledgers)).isEmpty)
    try FileManager.default.removeItem(atPath: servers.session(2, 1))
    for session in [0, 1] {
      for party in 0...1 {
        try FileManager.default.removeItem(atPath: servers.session(session, party))
      }
    }
    #expect(try dealt(keep(4, servers, ledgers)) == [2, 5])
    #expect(try status(folder, ledgers).ready == 4)
  }

  /// A run that is repeated looks at every byte of what is there.
  @Test func damagedSessionsAreDealtAgain() throws {
    let servers = try Servers()
    let path = servers.session(1, 1)
    let whole = try Data(contentsOf: URL(filePath: path))
    try damage(path) { $0[$0.count / 2] ^= 1 }
    let arguments = [
      servers.folder.file("shares"), "--sessions", "0..<\(Tiny.sessionCount)", "--prompt",
      "\(Tiny.promptCapacity)", "--new", "\(Tiny.newCapacity)", "--out",
      servers.folder.file("correlations"), "--json",
    ]
    let outcome = try Tool.run("lodge-deal", arguments)
    #expect(outcome.status == 0)
    #expect(
      outcome.messages.contains("note: deals session 1 again: \(path): "), "\(outcome.messages)")
    #expect(try Data(contentsOf: URL(filePath: path)) == whole)
    try damage(path) { $0.removeLast($0.count / 2) }
    #expect(try dealt(arguments) == [1])
    #expect(try Data(contentsOf: URL(filePath: path)) == whole)
    #expect(try dealt(arguments).isEmpty)
  }

  @Test func aNewFolderIsFilled() throws {
    let servers = try Servers()
    let folder = servers.folder.file("correlations")
    try FileManager.default.removeItem(atPath: folder)
    #expect(try dealt(keep(2, servers)) == [0, 1])
    #expect(try status(folder, []).ready == 2)
  }

  @Test func wrongFoldersAndLedgersAreNamed() throws {
    let servers = try Servers()
    let folder = servers.folder.file("correlations")
    let absent = servers.folder.file("absent")
    try Tool.fail("lodge-deal", ["status", absent], saying: [absent])
    try Tool.fail(
      "lodge-deal", ["status", servers.folder.file("shares")], saying: ["holds no sessions"])
    try Tool.fail(
      "lodge-deal", ["status", folder, "--ledger0", absent], saying: [absent, "no such ledger"])
    #expect(!FileManager.default.fileExists(atPath: absent))
    let ledger = servers.folder.file("party1.ledger")
    _ = try SessionLedger(path: ledger, party: 1)
    try Tool.fail(
      "lodge-deal", ["status", folder, "--ledger0", ledger],
      saying: [ledger, "is the ledger of party 1, not of party 0"])
    try Tool.fail(
      "lodge-deal", ["status", folder, "--ledger0", servers.bundle(0)],
      saying: ["party0.bundle"])
  }

  /// A file whose header cannot be read is no reason not to count and not to fill up the others.
  @Test func damagedSessionsAreNotCounted() throws {
    let servers = try Servers()
    let path = servers.session(0, 0)
    let whole = try Data(contentsOf: URL(filePath: path))
    try damage(path) { $0.removeLast(100) }
    let outcome = try Tool.run("lodge-deal", ["status", servers.folder.file("correlations")])
    #expect(outcome.status == 0)
    #expect(outcome.messages.contains("note: does not count \(path): "), "\(outcome.messages)")
    #expect(
      try status(servers.folder.file("correlations"), []).ready == Tiny.sessionCount - 1)
    #expect(try dealt(keep(Tiny.sessionCount, servers)) == [0])
    #expect(try Data(contentsOf: URL(filePath: path)) == whole)
  }

  /// A party's file among the other's is no stock, for those who count nor for those who serve.
  @Test func swappedFilesAreNotCounted() throws {
    let servers = try Servers()
    for number in 0...1 {
      try FileManager.default.removeItem(atPath: servers.session(number, 1))
      try FileManager.default.copyItem(
        atPath: servers.session(number, 0), toPath: servers.session(number, 1))
    }
    for folder in [servers.folder.file("correlations"), servers.correlations(1)] {
      let outcome = try Tool.run("lodge-deal", ["status", folder])
      #expect(
        outcome.messages.contains(
          "note: does not count \(servers.session(0, 1)): party: is the file of party 0, among those of"
        ), "\(outcome.messages)")
    }
    #expect(
      try status(servers.folder.file("correlations"), []).parties
        == [[3, nil, nil, nil], [1, nil, nil, nil]])
    #expect(try status(servers.correlations(1), []).ready == 1)
    let parties = try Parties(servers)
    try parties.party1.tool.await("has 1 unused session: 1 for 3 + 3 tokens")
    #expect(try parties.party1.tool.messages.contains("000000.corr: party: is for party 0"))
    #expect(try parties.generate().session == 2)
    try parties.stop()
  }

  /// Sessions of another seed in the way: never overwritten, and told when all others are dealt.
  @Test(arguments: [0, 1])
  func aRangeThatOverlapsAnotherBatchIsDealtBesideIt(party: Int) throws {
    let servers = try Servers()
    let correlations = servers.folder.file("correlations")
    let other = try Servers()
    try Tiny.deal(other.folder.path, into: other.folder.file("new"), sessions: 5)
    // Only one party's file, which dealing would have replaced.
    try FileManager.default.copyItem(
      atPath: other.folder.file("new/party\(party)/000004.corr"), toPath: servers.session(4, party))
    let before = FileManager.default.files(below: correlations)
    let bytes = try Data(contentsOf: URL(filePath: servers.session(4, party)))
    let arguments = { (range: String) in
      [
        servers.folder.file("shares"), "--sessions", range, "--prompt", "3", "--new", "3",
        "--out", correlations,
      ]
    }
    try Tool.fail(
      "lodge-deal", arguments("4..<5"), saying: ["000004.corr", "another batch or session"])
    #expect(FileManager.default.files(below: correlations) == before)
    // What is damaged is repaired all the same.
    let damaged = servers.session(1, party)
    let whole = try Data(contentsOf: URL(filePath: damaged))
    try damage(damaged) { $0[$0.count - 100] ^= 1 }
    let outcome = try Tool.run("lodge-deal", arguments("0..<6"))
    Tool.expectFailure(
      outcome, of: "lodge-deal",
      saying: ["000004.corr", "another batch or session; all others are there"])
    #expect(outcome.output.contains(": 3 sessions dealt, 2 kept"), "\(outcome.output)")
    #expect(try Data(contentsOf: URL(filePath: damaged)) == whole)
    for side in 0...1 {
      for number in [3, 5] {
        #expect(FileManager.default.fileExists(atPath: servers.session(number, side)))
      }
    }
    #expect(try Data(contentsOf: URL(filePath: servers.session(4, party))) == bytes)
    // A seed that was lost does not make room for a new one among its sessions.
    try FileManager.default.removeItem(atPath: "\(correlations)/dealer.batch")
    try Tool.fail(
      "lodge-deal", arguments("0..<1"), saying: ["000000.corr", "another batch or session"])
    #expect(!FileManager.default.fileExists(atPath: "\(correlations)/dealer.batch"))
  }

  @Test func aBundleOfAnotherProgramIsRefused() throws {
    let servers = try Servers()
    let other = try Tiny.other.get()
    let correlations = servers.folder.file("correlations")
    let before = FileManager.default.files(below: correlations)
    try Tool.fail(
      "lodge-deal",
      [
        "\(other)/shares", "--sessions", "0..<9", "--prompt", "3", "--new", "3",
        "--out", correlations,
      ], saying: ["dealer.batch", "of another program"])
    #expect(FileManager.default.files(below: correlations) == before)
  }

  /// The estimate that dealing is refused by is not below what files take, and not far above.
  @Test func theEstimateCoversTheFiles() throws {
    let servers = try Servers()
    let bundle = try DealerBundle(path: servers.folder.file("shares/dealer.bundle")).program
    let estimate = bundle.sessionByteCount(
      try .requested(program: bundle, prompt: Tiny.promptCapacity, new: Tiny.newCapacity))
    let actual = try (0...1).reduce(0) {
      try $0 + Data(contentsOf: URL(filePath: servers.session(0, $1))).count
    }
    #expect(estimate >= actual)
    #expect(estimate - actual < 100_000, "\(estimate) for \(actual)")
  }

  @Test func anUnwritableFolderIsNamed() throws {
    let shares = "\(try Tiny.first.get())/shares"
    for out in ["/proc/correlations", "\(shares)/manifest.json/correlations"] {
      try Tool.fail(
        "lodge-deal", [shares, "--prompt", "3", "--new", "3", "--out", out], saying: [out])
    }
  }
}
