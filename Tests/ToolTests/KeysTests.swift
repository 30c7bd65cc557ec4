// Keys on the command line: made, given to parties and clients, and missed.

import Bytes
import Foundation
import TestSupport
import Testing

/// Key files of both parties and one client, made by lodge-party keygen.
struct KeyFiles {
  let folder: ScratchFolder

  init() throws {
    folder = try ScratchFolder()
    for name in ["party0", "party1", "client"] {
      try Tool.succeed("lodge-party", ["keygen", secret(name)])
    }
  }

  func secret(_ name: String) -> String { folder.file("\(name).key") }
  func open(_ name: String) -> String { folder.file("\(name).key.pub") }

  func partyArguments(_ party: Int) -> [String] {
    [
      "--identity", secret("party\(party)"), "--peer-key", open("party\(1 - party)"),
      "--client-keys", open("client"),
    ]
  }

  var clientArguments: [String] {
    [
      "--identity", secret("client"), "--party0-key", open("party0"), "--party1-key",
      open("party1"),
    ]
  }
}

@Suite struct KeysTests {
  @Test func keygenPrintsThePublicLine() throws {
    let folder = try ScratchFolder()
    let path = folder.file("anna.key")
    let line = try Tool.succeed("lodge-party", ["keygen", path])
    #expect(line.hasPrefix("ssh-ed25519 AAAA"))
    #expect(line.hasSuffix(" anna.key\n"))
    #expect(try String(contentsOfFile: path + ".pub", encoding: .utf8) == line)
    for (file, mode) in [(path, 0o600), (path + ".pub", 0o644)] {
      let attributes = try FileManager.default.attributesOfItem(atPath: file)
      #expect(attributes[.posixPermissions] as? Int == mode)
    }
    try Tool.fail("lodge-party", ["keygen", path], saying: [path, "exists already"])
    try Tool.fail(
      "lodge-party", ["keygen", folder.file("x"), "--comment", "a\nb"], saying: ["--comment"])
    let json = try Tool.succeed("lodge-party", ["keygen", folder.file("b"), "--json"])
    var reader = try JSONReader(JSON.parse(Array(json.utf8), source: "keygen"), source: "keygen")
    #expect(try reader.string("publicKey").hasPrefix("ssh-ed25519 AAAA"))
    #expect(try reader.string("fingerprint").hasPrefix("SHA256:"))
    try reader.finish()
  }

  @Test func partiesAndClientsUseTheirKeys() throws {
    let keys = try KeyFiles()
    let parties = try Parties(Servers(), (0...1).map(keys.partyArguments))
    #expect(try parties.generate(keys.clientArguments).session == 0)
    // No key, a key that nobody knows, and party 1's key expected at party 0.
    try parties.refuse(saying: ["party 0 at \(parties.party0.address)"])
    try Tool.succeed("lodge-party", ["keygen", keys.secret("stranger")])
    var arguments = keys.clientArguments
    arguments[1] = keys.secret("stranger")
    try parties.refuse(arguments, saying: ["does not accept this side's key SHA256:"])
    arguments = keys.clientArguments
    arguments.swapAt(3, 5)
    try parties.refuse(arguments, saying: ["party 0", "has the key SHA256:", "not accepted here"])
    #expect(try parties.generate(keys.clientArguments).session == 1)
    try parties.stop()
  }

  @Test func whatIsMissingIsNamed() throws {
    let keys = try KeyFiles()
    let servers = try Servers()
    let peer = ["--peer", "127.0.0.1:1"]
    let all = keys.partyArguments(0)
    for (arguments, part) in [
      (Array(all[2...]), "--identity"), (Array(all[..<2] + all[4...]), "--peer-key"),
      (Array(all[..<4]), "--client-keys"), (all + ["--insecure-plaintext"], "--insecure-plaintext"),
      (["--identity", keys.open("party0")] + all[2...], "a public key, a private key is expected"),
    ] {
      try Tool.fail("lodge-party", servers.arguments(0) + peer + arguments, saying: [part])
    }
    // Without keys nobody else may come, and nobody else is asked.
    let cause = "is not an address of this machine alone: that needs keys"
    try Tool.fail(
      "lodge-party", servers.arguments(0, listen: "0.0.0.0:0") + peer, saying: ["0.0.0.0:0", cause])
    try Tool.fail(
      "lodge-party", servers.arguments(0) + ["--peer", "192.0.2.1:9"],
      saying: ["192.0.2.1:9", cause])
    try Tool.fail(
      "lodge-client",
      [
        "--party0", "192.0.2.1:9", "--party1", "127.0.0.1:1", "--tokens",
        servers.folder.write("[1]".utf8, to: "prompt.json"),
      ], saying: ["party 0 at 192.0.2.1:9", cause])
    try Tool.fail(
      "lodge-party",
      servers.arguments(1, listen: "0.0.0.0:0") + peer
        + ["--insecure-plaintext", "--peer-timeout", "1s"],
      saying: ["party 0 did not come within 1 s"])
  }
}
