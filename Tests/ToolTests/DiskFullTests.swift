// Writers on a full disk: an error that says so, and nothing left behind.

import Bytes
import Foundation
import Glibc
import TestSupport
import Testing

/// A small file system in memory; only root may make one.
final class SmallDisk {
  let path: String
  private let folder: ScratchFolder

  static let isPossible = geteuid() == 0 && (try? SmallDisk(byteCount: 1 << 20)) != nil

  init(byteCount: Int) throws {
    folder = try ScratchFolder()
    path = folder.path
    guard unsafe mount("lodge-test", path, "tmpfs", 0, "size=\(byteCount)") == 0 else {
      throw InputError(path, "cannot mount: \(errno)")
    }
  }

  deinit { unsafe umount2(path, Int32(MNT_DETACH)) }

  var freeByteCount: Int {
    let attributes = try? FileManager.default.attributesOfFileSystem(forPath: path)
    return (attributes?[.systemFreeSize] as? NSNumber)?.intValue ?? -1
  }
}

@Suite(
  .serialized,
  .enabled(if: SmallDisk.isPossible, "a small file system for these tests needs root"))
struct DiskFullTests {
  private let checkpoint = Repository.fixtures.appending(path: "opt-dickens-5m").path

  @Test func approximateLeavesNothing() throws {
    let disk = try SmallDisk(byteCount: 4 << 20)
    let out = "\(disk.path)/model.lodge"
    let free = disk.freeByteCount
    try Tool.fail(
      "lodge-model",
      [
        "approximate", checkpoint, "--tokens", "\(checkpoint)/calibration.json", "--out", out,
      ], saying: [out, "no space left on device"])
    #expect(FileManager.default.files(below: disk.path).isEmpty)
    #expect(disk.freeByteCount == free)
  }

  /// A disk for none of the bundles, and one for two of the three.
  @Test(arguments: [1, 52])
  func shareLeavesNothing(mebibytes: Int) throws {
    let folder = try ScratchFolder()
    let model = folder.file("model.lodge")
    try Tool.succeed(
      "lodge-model",
      [
        "approximate", checkpoint, "--tokens", "\(checkpoint)/calibration.json", "--out", model,
      ])
    let disk = try SmallDisk(byteCount: mebibytes << 20)
    try Tool.fail(
      "lodge-model", ["share", model, "--out", "\(disk.path)/shares"],
      saying: ["\(disk.path)/shares/", "no space left on device"])
    let files = FileManager.default.files(below: disk.path)
    #expect(files.allSatisfy { $0 == "shares" }, "\(files)")
  }

  /// What cannot fit is refused before anything is written.
  @Test func dealIsRefusedWhereItCannotFit() throws {
    let shares = "\(try Tiny.first.get())/shares"
    let disk = try SmallDisk(byteCount: 512 << 10)
    let out = "\(disk.path)/new/correlations"
    for choice in [["--sessions", "0..<4"], ["--keep", "4"]] {
      try Tool.fail(
        "lodge-deal", [shares, "--prompt", "3", "--new", "3", "--out", out] + choice,
        saying: [out, "no space left on device", "the files of 4 sessions need", "are free"])
      #expect(FileManager.default.files(below: disk.path).isEmpty)
    }
  }

  /// A disk that fills up while sessions are dealt: finished ones stay, the one that did not fit
  /// leaves nothing; a retry continues there.
  @Test func dealLeavesNothingOfTheSessionThatDidNotFit() throws {
    let shares = "\(try Tiny.first.get())/shares"
    let disk = try SmallDisk(byteCount: 64 << 20)
    let out = "\(disk.path)/correlations"
    let arguments = [shares, "--sessions", "0..<100", "--prompt", "3", "--new", "3", "--out", out]
    let deal = try RunningTool("lodge-deal", arguments)
    while !FileManager.default.fileExists(atPath: "\(out)/party1/000000.corr") { usleep(1000) }
    // It must not take the room while that is measured and filled.
    deal.signal(SIGSTOP)
    usleep(20_000)
    try Data(count: disk.freeByteCount - (1 << 20)).write(
      to: URL(filePath: "\(disk.path)/filler"))
    deal.signal(SIGCONT)
    let status = try deal.wait(.seconds(60))
    Tool.expectFailure(
      Tool.Outcome(status: status, output: try deal.output, messages: try deal.messages),
      of: "lodge-deal", saying: [out, "no space left on device"])
    let names = try (0...1).map {
      try FileManager.default.contentsOfDirectory(atPath: "\(out)/party\($0)").sorted()
    }
    #expect(!names[0].isEmpty && names[0].count < 100)
    for (party, names) in names.enumerated() {
      for name in names {
        #expect(name.hasSuffix(".corr") && !name.hasPrefix("."), "\(name)")
        try Tool.succeed("lodge-check", ["verify", "\(out)/party\(party)/\(name)"])
      }
    }
    try FileManager.default.removeItem(atPath: "\(disk.path)/filler")
    let resumed = try Tool.succeed("lodge-deal", arguments)
    #expect(resumed.contains("\(100 - names[1].count) sessions dealt"), "\(resumed)")
  }

  /// A party that cannot note a claim does not use the session.
  @Test func aLedgerOnAFullDiskUsesNothing() throws {
    let disk = try SmallDisk(byteCount: 256 << 10)
    let servers = try Servers()
    var arguments = servers.arguments(0) + ["--peer", "127.0.0.1:0"]
    let ledger = "\(disk.path)/party0.ledger"
    arguments[9] = ledger
    let party0 = try RunningTool("lodge-party", arguments)
    try party0.await("listens on ")
    let line = try party0.messages.components(separatedBy: "listens on ")[1]
    let address = String(line.prefix { $0 != "\n" })
    let party1 = try PartyProcess(servers, 1, peer: address)
    try Data(count: disk.freeByteCount).write(to: URL(filePath: "\(disk.path)/filler"))
    let prompt = try servers.folder.write("[3,1,4]".utf8, to: "prompt.json")
    let client = [
      "--party0", address, "--party1", party1.address, "--tokens", prompt, "--new", "3",
    ]
    try Tool.fail("lodge-client", client, saying: [ledger, "the disk is full"])
    // With room again, the next session serves.
    try FileManager.default.removeItem(atPath: "\(disk.path)/filler")
    let answer = try Answer(Tool.succeed("lodge-client", client + ["--json"]))
    #expect(answer.session == 1)
    party0.signal(SIGTERM)
    #expect(try party0.wait(.seconds(10)) == 0)
    try party1.stop()
  }
}
