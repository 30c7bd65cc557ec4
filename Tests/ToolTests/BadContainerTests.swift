// What the tools say about damaged and wrong containers, before anything is written or served.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct BadContainerTests {
  /// One kind of damage; every one must be found and named.
  enum Damage: CaseIterable {
    case empty, cutEarly, cutLate, signature, metadata, middle, last

    func apply(to path: String) throws {
      try damage(path) { bytes in
        let count = bytes.count
        switch self {
        case .empty: bytes = Data()
        case .cutEarly: bytes = bytes.prefix(100)
        case .cutLate: bytes.removeLast(count / 3)
        case .signature: bytes[1] ^= 0x20
        case .metadata: bytes[300] ^= 0xff
        // Wide enough not to lie between two arrays, where nothing is.
        case .middle: for index in count / 2..<min(count, count / 2 + 4200) { bytes[index] ^= 1 }
        case .last: bytes[count - 1] ^= 0x80
        }
      }
    }
  }

  private func copy(_ path: String, to folder: ScratchFolder) throws -> String {
    let target = folder.file(FilePaths.lastComponent(of: path))
    try FileManager.default.copyItem(atPath: path, toPath: target)
    return target
  }

  @Test(arguments: Damage.allCases)
  func damagedModelsAreNotShared(kind: Damage) throws {
    let folder = try ScratchFolder()
    let model = try copy("\(Tiny.converted.get())/model.lodge", to: folder)
    try kind.apply(to: model)
    try Tool.fail(
      "lodge-model", ["share", model, "--out", folder.file("shares")], saying: [model])
    #expect(try folder.names() == ["model.lodge"])
  }

  @Test(arguments: Damage.allCases)
  func damagedDealerBundlesAreNotDealtFrom(kind: Damage) throws {
    let folder = try ScratchFolder()
    let bundle = try copy("\(Tiny.first.get())/shares/dealer.bundle", to: folder)
    try kind.apply(to: bundle)
    try Tool.fail(
      "lodge-deal", [folder.path, "--prompt", "3", "--new", "3", "--out", folder.file("corr")],
      saying: [bundle])
    #expect(try folder.names() == ["dealer.bundle"])
  }

  @Test(arguments: Damage.allCases)
  func damagedPartyBundlesAreNotServed(kind: Damage) throws {
    let servers = try Servers()
    try kind.apply(to: servers.bundle(0))
    try Tool.fail(
      "lodge-party", servers.arguments(0) + ["--peer", "127.0.0.1:1"],
      saying: [servers.bundle(0)])
    #expect(!FileManager.default.fileExists(atPath: servers.folder.file("party0.ledger")))
    try Tool.fail("lodge-check", ["verify", servers.bundle(0)], saying: [servers.bundle(0)])
  }

  /// Damage that opening the files shows, of all that are there; the rest is found when a session is
  /// about to be used.
  @Test(arguments: [Damage.empty, .cutEarly, .cutLate, .signature])
  func damagedCorrelationsAreNotServed(kind: Damage) throws {
    let servers = try Servers()
    for session in 0..<Tiny.sessionCount { try kind.apply(to: servers.session(session, 1)) }
    try Tool.fail(
      "lodge-party", servers.arguments(1) + ["--peer", "127.0.0.1:1"],
      saying: [servers.session(0, 1)])
    try Tool.fail("lodge-check", ["verify", servers.session(0, 1)], saying: ["000000.corr"])
  }

  @Test(arguments: [Damage.metadata, .middle, .last])
  func damagedCorrelationsAreFoundByVerify(kind: Damage) throws {
    let servers = try Servers()
    try kind.apply(to: servers.session(0, 1))
    try Tool.fail("lodge-check", ["verify", servers.session(0, 1)], saying: ["000000.corr"])
  }

  @Test func damagedBatchesAreNotContinued() throws {
    let servers = try Servers()
    let correlations = servers.folder.file("correlations")
    // The seed of all sessions is the last thing in it.
    try Damage.last.apply(to: "\(correlations)/dealer.batch")
    let before = FileManager.default.files(below: servers.folder.path)
    try Tool.fail(
      "lodge-deal",
      [
        servers.folder.file("shares"), "--sessions", "0..<9", "--prompt", "3", "--new", "3",
        "--out", correlations,
      ], saying: ["dealer.batch"])
    #expect(FileManager.default.files(below: servers.folder.path) == before)
  }

  /// A batch of another conversion or of other lengths is not continued either.
  @Test func foreignBatchesAreNotContinued() throws {
    let servers = try Servers()
    let correlations = servers.folder.file("correlations")
    let second = try Tiny.second.get()
    let before = FileManager.default.files(below: servers.folder.path)
    try Tool.fail(
      "lodge-deal", ["\(second)/shares", "--prompt", "3", "--new", "3", "--out", correlations],
      saying: ["dealer.batch", "another conversion"])
    try Tool.fail(
      "lodge-deal",
      [servers.folder.file("shares"), "--prompt", "2", "--new", "3", "--out", correlations],
      saying: ["dealer.batch", "sessions of 3 prompt and 3 new tokens"])
    #expect(FileManager.default.files(below: servers.folder.path) == before)
  }

  @Test func theOtherPartysFilesAreRefused() throws {
    let servers = try Servers()
    let peer = ["--peer", "127.0.0.1:1"]
    var swapped = servers.arguments(0) + peer
    swapped[3] = servers.bundle(1)
    try Tool.fail(
      "lodge-party", swapped, saying: ["party1.bundle", "is for party 1, this is party 0"])
    swapped = servers.arguments(1) + peer
    swapped[5] = servers.correlations(0)
    try Tool.fail(
      "lodge-party", swapped, saying: ["000000.corr", "is for party 0, this is party 1"])
  }

  @Test func correlationsOfAnotherConversionOrProgramAreRefused() throws {
    let servers = try Servers()
    for (conversion, cause) in [
      (Tiny.second, "another conversion"), (Tiny.other, "another program"),
    ] {
      var arguments = servers.arguments(0) + ["--peer", "127.0.0.1:1"]
      arguments[5] = "\(try conversion.get())/correlations/party0"
      try Tool.fail("lodge-party", arguments, saying: ["000000.corr", cause])
    }
  }

  @Test func filesOfAnotherKindAreRefused() throws {
    let servers = try Servers()
    let shares = servers.folder.file("shares")
    var arguments = servers.arguments(0) + ["--peer", "127.0.0.1:1"]
    for file in ["\(shares)/dealer.bundle", servers.session(0, 0), "\(shares)/manifest.json"] {
      arguments[3] = file
      try Tool.fail("lodge-party", arguments, saying: [file])
    }
    try Tool.fail(
      "lodge-model", ["share", servers.bundle(0), "--out", servers.folder.file("again")],
      saying: [servers.bundle(0), "kind"])
    try Tool.fail(
      "lodge-check", ["program", servers.session(0, 0)], saying: ["000000.corr", "correlations"])
    #expect(!FileManager.default.fileExists(atPath: servers.folder.file("again")))
  }

  @Test func missingFilesAreNamed() throws {
    let servers = try Servers()
    let missing = servers.folder.file("missing")
    let peer = ["--peer", "127.0.0.1:1"]
    try Tool.fail("lodge-model", ["share", missing, "--out", missing], saying: [missing])
    try Tool.fail("lodge-deal", [missing, "--out", missing], saying: ["\(missing)/dealer.bundle"])
    for option in [3, 5] {
      var arguments = servers.arguments(0) + peer
      arguments[option] = missing
      try Tool.fail("lodge-party", arguments, saying: [missing])
    }
    for command in [["program", missing], ["cost", missing], ["verify", missing]] {
      try Tool.fail("lodge-check", command, saying: [missing])
    }
    try Tool.fail("lodge-check", ["logits", missing, missing], saying: [missing])
    #expect(!FileManager.default.fileExists(atPath: missing))
  }

  /// A manifest finds files of another conversion.
  @Test func manifestsFindExchangedFiles() throws {
    let servers = try Servers()
    let manifest = servers.folder.file("shares/manifest.json")
    try Tool.succeed("lodge-check", ["verify", manifest])
    try FileManager.default.removeItem(atPath: servers.bundle(1))
    let second = try Tiny.second.get()
    try FileManager.default.copyItem(
      atPath: "\(second)/shares/party1.bundle", toPath: servers.bundle(1))
    try Tool.fail("lodge-check", ["verify", manifest], saying: ["party1.bundle", "manifest"])
    try damage(manifest) { $0.removeLast(10) }
    try Tool.fail("lodge-check", ["verify", manifest], saying: ["manifest.json"])
  }

  /// What is wrong with one file keeps none from being checked; paths say nothing of a file but its end.
  @Test func allFilesAreVerified() throws {
    let servers = try Servers()
    let (bad, good) = (servers.session(0, 0), [servers.session(1, 0), servers.bundle(0)])
    try damage(bad) { $0[$0.count - 100] ^= 1 }
    let missing = servers.folder.file("missing")
    let outcome = try Tool.run("lodge-check", ["verify", bad, good[0], missing, good[1]])
    #expect(outcome.status == 1)
    #expect(outcome.errors.count == 3)
    #expect(
      outcome.messages.contains("2 of 4 files: are not as they should be: \(bad), \(missing)"))
    #expect(outcome.output.contains("correlations") && outcome.output.contains("bundle"))
    let odd = servers.folder.file("a.corrs")
    try FileManager.default.moveItem(atPath: servers.folder.file("shares"), toPath: odd)
    let keys = try KeyFiles()
    try Tool.fail(
      "lodge-check", ["verify", "--trust", keys.open("client"), "\(odd)/party0.bundle"],
      saying: ["\(odd)/manifest.json: is not signed"])
  }

  @Test func sessionsLongerThanTheModelAreNotDealt() throws {
    let first = try Tiny.first.get()
    let folder = try ScratchFolder()
    try Tool.fail(
      "lodge-deal",
      ["\(first)/shares", "--prompt", "5", "--new", "3", "--out", folder.file("corr")],
      saying: ["positions"])
    try Tool.fail(
      "lodge-check", ["cost", "\(first)/shares/party0.bundle", "--prompt", "7", "--new", "1"],
      saying: ["positions"])
    #expect(try folder.names().isEmpty)
  }
}
