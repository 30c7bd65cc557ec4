// The commands that tools print for what comes next, run as they are printed.

import Bytes
import Foundation
import OnlineRuntime
import TestSupport
import Testing

@Suite(.serialized) struct NextStepTests {
  /// The commands after "Next:" in what a tool said, a list of words each.
  private static func next(_ messages: String) -> [[String]] {
    messages.split(separator: "\n").compactMap { line in
      line.hasPrefix("Next: ") ? words(of: line.dropFirst(6)) : nil
    }
  }

  /// Words of a shell's line without escapes: quotes are the only thing that is special.
  private static func words(of line: Substring) -> [String] {
    var words = [""]
    var isQuoted = false
    for character in line {
      switch character {
      case "'": isQuoted.toggle()
      case " " where !isQuoted: words.append("")
      default: words[words.count - 1].append(character)
      }
    }
    return words
  }

  /// An address at which nobody listens.
  private func freeAddress() throws -> String { "\(try Listener(Address("127.0.0.1:0")).address)" }

  /// Runs a printed command that comes to its end, with `changes` of words that stand for something;
  /// returns what it prints next.
  private func run(_ command: [String], _ changes: [String: String] = [:]) throws -> [[String]] {
    let words = command.dropFirst().map { changes[$0] ?? $0 }
    let outcome = try Tool.run(command[0], words)
    try #require(outcome.status == 0, "\(command): \(outcome.messages)")
    return Self.next(outcome.messages)
  }

  /// Starts a printed `lodge-party` and returns it with what it prints next.
  private func start(_ command: [String], _ changes: [String: String]) throws
    -> (party: PartyProcess, next: [[String]])
  {
    try #require(command[0] == "lodge-party")
    let words = command.dropFirst().map { changes[$0] ?? $0 }
    let party = try PartyProcess(arguments: Array(words), words.contains("1") ? 1 : 0, peer: nil)
    return (party, Self.next(try party.tool.messages))
  }

  /// From the share of a flat conversion to an answer.
  @Test func twoServersFollowWhatIsPrinted() throws {
    let folder = try ScratchFolder()
    let shared = try run([
      "lodge-model", "share", "\(OneLayer.model.get())/model.lodge", "--out", folder.file("shares"),
    ])
    try #require(shared.count == 1)
    let dealt = try run(shared[0])
    try #require(dealt.map { $0[0] } == ["lodge-party", "lodge-party"], "\(dealt)")
    let addresses = [
      "127.0.0.1:9000": try freeAddress(), "127.0.0.1:9001": try freeAddress(),
      "prompt.json": try folder.write("[3,1]".utf8, to: "prompt.json"),
    ]
    let first = try start(dealt[0], addresses)
    let second = try start(dealt[1], addresses)
    try #require(second.next.count == 1)
    #expect(try run(second.next[0], addresses).isEmpty)
    for party in [first.party, second.party] { try party.stop() }
  }

  /// A client of one-hot rows has no folder, and none is named.
  @Test func clientsWithoutAFolderFollowABlindDealer() throws {
    let folder = try ScratchFolder()
    let shared = try run([
      "lodge-model", "share", "\(OneLayer.model.get())/model.lodge", "--dealer", "blind", "--out",
      folder.file("shares"),
    ])
    let dealt = try run(shared[0])
    try #require(dealt.map { $0[0] } == ["lodge-party", "lodge-party", "lodge-client"], "\(dealt)")
    let addresses = [
      "127.0.0.1:9000": try freeAddress(), "127.0.0.1:9001": try freeAddress(),
      "prompt.json": try folder.write("[3,1]".utf8, to: "prompt.json"),
    ]
    let parties = try dealt.prefix(2).map { try start($0, addresses).party }
    #expect(!dealt[2].contains("--folder"))
    #expect(try run(dealt[2], addresses).isEmpty)
    for party in parties { try party.stop() }
  }

  /// Sessions that lie elsewhere are named to the user as well.
  @Test func aProvidersUserIsToldWhereSessionsAre() throws {
    let files = try ProviderFiles(sessionCount: 1)
    let address = try freeAddress()
    let (provider, next) = try start(
      [
        "lodge-party", "--party", "0", "--bundle",
        files.folder.file("roles/provider/provider.bundle"),
        "--correlations", files.folder.file("correlations/party0"), "--listen", address,
      ], [:])
    try #require(next.count == 1)
    #expect(next[0].contains(files.folder.file("correlations/party1")), "\(next)")
    let prompt = try files.folder.write("[3,1]".utf8, to: "prompt.json")
    #expect(try run(next[0], ["prompt.json": prompt]).isEmpty)
    try provider.stop()
  }

  /// Signed by owner and dealer, sealed, for one user: every key is where it belongs.
  @Test(.needsAge) func keysAreNamedToThoseWhoNeedThem() throws {
    let folder = try ScratchFolder()
    let key = { (name: String) in folder.file("\(name).key") }
    for name in ["provider", "user"] { try Tool.succeed("lodge-party", ["keygen", key(name)]) }
    let shared = try run([
      "lodge-model", "share", "\(OneLayer.model.get())/model.lodge", "--out", folder.file("roles"),
      "--deployment", "provider-user", "--sign", key("provider"), "--recipient0",
      "\(key("provider")).pub", "--recipient1", "\(key("user")).pub",
    ])
    // The dealer, who is somebody else, has a key of its own.
    try #require(shared.map { $0[0] } == ["lodge-party", "lodge-deal"], "\(shared)")
    #expect(shared[0] == ["lodge-party", "keygen", "dealer.key"])
    #expect(!shared.flatMap(\.self).contains(key("provider")), "\(shared)")
    let own = ["dealer.key": key("dealer")]
    #expect(try run(shared[0], own).isEmpty)
    let dealt = try run(shared[1] + ["--user", "\(key("user")).pub"], own)
    try #require(dealt.map { $0[0] } == ["lodge-party", "lodge-client"], "\(dealt)")
    let changes = [
      "127.0.0.1:9000": try freeAddress(),
      "prompt.json": try folder.write("[3,1]".utf8, to: "prompt.json"),
    ]
    let (provider, next) = try start(dealt[0], changes)
    #expect(dealt[1].contains("--tokens"))
    #expect(try run(dealt[1], changes).isEmpty)
    try #require(next.count == 1)
    #expect(try run(next[0], changes).isEmpty)
    // Without the owner's key the bundle is refused, and without the dealer's the sessions.
    try provider.stop()
    for keys in [["provider"], ["dealer"]] {
      let trust = try #require(dealt[0].firstIndex(of: "--trust")) + 1
      var words = dealt[0]
      words[trust] = keys.map { "\(key($0)).pub" }.joined(separator: ",")
      let outcome = try Tool.run("lodge-party", words.dropFirst().map { changes[$0] ?? $0 })
      #expect(outcome.messages.contains("which is not trusted here"), "\(outcome.messages)")
    }
  }

  /// Bundles that are sealed are opened with a key, whoever sealed the sessions.
  @Test(.needsAge) func sealedBundlesAreOpened() throws {
    let keys = try KeyFiles()
    let folder = try ScratchFolder()
    let shared = try run(
      [
        "lodge-model", "share", "\(OneLayer.model.get())/model.lodge", "--out",
        folder.file("shares"),
      ] + (0...1).flatMap { ["--recipient\($0)", keys.open("party\($0)")] })
    let plain = Array(shared[0].prefix { !$0.hasPrefix("--recipient") })
    let dealt = try run(plain)
    for (party, command) in dealt.enumerated() {
      #expect(command.contains(folder.file("shares/party\(party).bundle.age")))
      #expect(command.suffix(2) == ["--identity", "PRIVATE-KEY"], "\(command)")
    }
    let sealed = try run(
      shared[0].map { $0 == folder.file("shares/correlations") ? folder.file("sealed") : $0 })
    for (party, command) in sealed.enumerated() {
      #expect(command.suffix(2) == ["--identity", keys.secret("party\(party)")], "\(command)")
    }
  }
}
