// Signed and sealed files and keys, from share to answer, through the executables.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite(.serialized, .needsAge)
struct DeliveryTests {
  /// A conversion and a batch of the tiny model, signed and sealed for the holders of `keys`.
  private struct Delivered {
    let keys: KeyFiles
    let servers: Servers
    /// What the dealer says.
    let dealt: String

    init(recipients: [String]? = nil) throws {
      keys = try KeyFiles()
      try Tool.succeed("lodge-party", ["keygen", keys.secret("owner")])
      let folder = try ScratchFolder()
      servers = Servers(converted: folder)
      let recipients = recipients ?? (0...1).map { [keys] in keys.open("party\($0)") }
      let delivery =
        ["--sign", keys.secret("owner")]
        + ["--recipient0", recipients[0], "--recipient1", recipients[1]]
      try Tool.succeed(
        "lodge-model",
        ["share", "\(Tiny.converted.get())/model.lodge", "--out", folder.file("shares")]
          + delivery)
      let outcome = try Tool.run(
        "lodge-deal",
        [
          folder.file("shares"), "--sessions", "0..<\(Tiny.sessionCount)", "--prompt",
          "\(Tiny.promptCapacity)", "--new", "\(Tiny.newCapacity)", "--out",
          folder.file("correlations"),
        ] + delivery
      )
      dealt = outcome.messages
      try #require(outcome.status == 0, "\(dealt)")
    }

    /// Arguments of a party with the sealed bundle, and `more`, but without --peer.
    func arguments(_ party: Int, _ more: [String], listen: String = "127.0.0.1:0") -> [String] {
      servers.arguments(party, listen: listen).map {
        $0 == servers.bundle(party) ? $0 + ".age" : $0
      } + ["--trust", keys.open("owner")] + more
    }
  }

  @Test func sealedFilesServeUnderKeys() throws {
    let delivered = try Delivered()
    let (keys, servers) = (delivered.keys, delivered.servers)
    #expect(delivered.dealt.contains("--bundle \(servers.bundle(0)).age "), "\(delivered.dealt)")
    // Nothing but ciphertext and what is public left the owner for the parties.
    for party in 0...1 {
      let names = try FileManager.default.contentsOfDirectory(atPath: servers.correlations(party))
      #expect(
        names.sorted()
          == (0..<Tiny.sessionCount).flatMap { session in
            ["corr.age", "json", "json.sig"].map { "00000\(session).\($0)" }
          })
    }
    for file in FileManager.default.files(below: servers.folder.path)
    where !file.hasSuffix("shares") && file.contains(".") {
      let attributes = try FileManager.default.attributesOfItem(atPath: servers.folder.file(file))
      #expect(attributes[.posixPermissions] as? Int == 0o600, "\(file)")
      guard file.hasSuffix(".age") else { continue }
      let start = try FileHandle(forReadingFrom: URL(filePath: servers.folder.file(file)))
        .read(upToCount: 21)
      #expect(start == Data("age-encryption.org/v1".utf8), "\(file)")
    }
    try Tool.succeed(
      "lodge-check",
      [
        "verify", "--trust", keys.open("owner"), "--identity", keys.secret("party0"),
        servers.folder.file("shares/manifest.json"), servers.correlations(0) + "/000000.json",
      ])
    let party0 = try PartyProcess(
      arguments: delivered.arguments(0, keys.partyArguments(0)), 0, peer: "127.0.0.1:0")
    let party1 = try PartyProcess(
      arguments: delivered.arguments(1, keys.partyArguments(1)), 1, peer: party0.address)
    let parties = Parties(servers: servers, party0: party0, party1: party1)
    let plain = try Parties(Servers())
    let expected = try plain.generate().tokens
    try plain.stop()
    for session in 0..<2 {
      let answer = try parties.generate(keys.clientArguments)
      #expect(answer.session == session)
      #expect(answer.tokens == expected)
    }
    try parties.stop()
  }

  /// Keys of age itself seal and open as well; plain TCP then, on one machine.
  @Test func filesMayBeSealedForKeysOfAge() throws {
    let folder = try ScratchFolder()
    let recipients = try (0...1).map { try AgeKeys.make(at: folder.file("party\($0).age.key")) }
    let delivered = try Delivered(recipients: recipients)
    let party0 = try PartyProcess(
      arguments: delivered.arguments(0, ["--identity", folder.file("party0.age.key")]), 0,
      peer: "127.0.0.1:0")
    let party1 = try PartyProcess(
      arguments: delivered.arguments(1, ["--identity", folder.file("party1.age.key")]), 1,
      peer: party0.address)
    let parties = Parties(servers: delivered.servers, party0: party0, party1: party1)
    #expect(try parties.generate().session == 0)
    try parties.stop()
    // The other party's key opens nothing.
    try Tool.fail(
      "lodge-party",
      delivered.arguments(0, ["--identity", folder.file("party1.age.key")])
        + ["--peer", "127.0.0.1:1"],
      saying: ["party0.bundle.age", "no identity matched"])
    try Tool.fail(
      "lodge-party", delivered.arguments(0, []) + ["--peer", "127.0.0.1:1"],
      saying: ["party0.bundle.age", "is sealed"])
  }

  /// What was changed after it was signed is refused before anything of it is interpreted.
  @Test func partiesRefuseWhatTheOwnerDidNotSign() throws {
    let keys = try KeyFiles()
    try Tool.succeed("lodge-party", ["keygen", keys.secret("owner")])
    let trust = ["--trust", keys.open("owner")]
    let peer = ["--peer", "127.0.0.1:1"]
    let unsigned = try Servers()
    try Tool.fail(
      "lodge-party", unsigned.arguments(0) + peer + trust,
      saying: ["shares/manifest.json", "is not signed: manifest.json.sig is missing"])
    let folder = try ScratchFolder()
    let servers = Servers(converted: folder)
    let sign = ["--sign", keys.secret("owner")]
    try Tool.succeed(
      "lodge-model",
      ["share", "\(Tiny.converted.get())/model.lodge", "--out", folder.file("shares")] + sign)
    try Tool.succeed(
      "lodge-deal",
      [
        folder.file("shares"), "--sessions", "0..<3", "--prompt", "\(Tiny.promptCapacity)",
        "--new", "\(Tiny.newCapacity)", "--out", folder.file("correlations"),
      ] + sign)
    // By somebody else.
    try Tool.fail(
      "lodge-party", servers.arguments(0) + peer + ["--trust", keys.open("client")],
      saying: ["manifest.json.sig", "which is not trusted here"])
    // Session 0 is changed at party 0, session 1 unsigned at party 1: session 2 is served.
    try damage(servers.session(0, 0)) { $0[$0.count - 50] ^= 1 }
    try FileManager.default.removeItem(atPath: servers.correlations(1) + "/000001.json.sig")
    let parties = try Parties(servers, [trust, trust])
    #expect(try parties.generate().session == 2)
    #expect(
      try parties.party0.tool.messages.contains("its SHA-256 is not the one in its manifest"))
    #expect(try parties.party1.tool.messages.contains("000001.json: is not signed"))
    try parties.stop()
    // A changed bundle, a changed manifest.
    try damage(servers.bundle(0)) { $0[100] ^= 1 }
    try Tool.fail(
      "lodge-party", servers.arguments(0) + peer + trust,
      saying: ["party0.bundle", "its SHA-256 is not the one in its manifest"])
    try Tool.fail(
      "lodge-check", ["verify", folder.file("shares/manifest.json")] + trust,
      saying: ["party0.bundle"])
    try damage(folder.file("shares/manifest.json")) { $0[$0.count - 1] = 0x20 }
    try Tool.fail(
      "lodge-party", servers.arguments(0) + peer + trust,
      saying: ["manifest.json.sig", "was changed after it was signed"])
  }

  /// While bundles are shared and sealed no folder holds their plaintext.
  @Test func noPlaintextHasAName() throws {
    let keys = try KeyFiles()
    let folder = try ScratchFolder()
    let model = Repository.fixtures.appending(path: "opt-dickens-5m").path
    try Tool.succeed(
      "lodge-model",
      [
        "approximate", model, "--tokens", "\(model)/calibration.json", "--out",
        folder.file("model.lodge"),
      ])
    let share = try RunningTool(
      "lodge-model",
      [
        "share", folder.file("model.lodge"), "--out", folder.file("shares"), "--recipient0",
        keys.open("party0"), "--recipient1", keys.open("party1"),
      ])
    var seen: Set<String> = []
    while share.isRunning {
      let names =
        (try? FileManager.default.contentsOfDirectory(atPath: folder.file("shares"))) ?? []
      for name in names where name.contains("party") {
        seen.insert(name)
        // Gone again, or empty so far, or ciphertext.
        guard let file = FileHandle(forReadingAtPath: folder.file("shares/\(name)")),
          let start = try? file.read(upToCount: 3), !start.isEmpty
        else { continue }
        #expect(start == Data("age".utf8), "\(name)")
      }
      usleep(200)
    }
    #expect(try share.wait(.seconds(60)) == 0)
    #expect(
      seen.allSatisfy { $0.contains("party0.bundle.age") || $0.contains("party1.bundle.age") })
    #expect(!seen.isEmpty)
  }

  @Test func withoutAgeNothingIsBegun() throws {
    let keys = try KeyFiles()
    let folder = try ScratchFolder()
    let tool = try RunningTool(
      executable: URL(filePath: "/usr/bin/env"),
      [
        "PATH=/nowhere", Tool.executable("lodge-model").path, "share",
        "\(Tiny.converted.get())/model.lodge", "--out", folder.file("shares"), "--recipient0",
        keys.open("party0"), "--recipient1", keys.open("party1"),
      ])
    #expect(try tool.wait(.seconds(20)) == 1)
    #expect(try tool.messages.contains("age: is not installed: sealed files need it"))
    #expect(try tool.messages.contains("apt-get install age"))
    #expect(try folder.names() == [])
  }
}
