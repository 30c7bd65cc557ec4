// Writers on a full disk: an error that says so, and nothing left behind.

import Bytes
import Foundation
import Glibc
import OnlineRuntime
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

  /// A party that cannot note a claim uses nothing, burns nothing, says so once, and serves again as
  /// soon as there is room.
  @Test(arguments: [0, 1])
  func aLedgerOnAFullDiskUsesNothing(party: Int) throws {
    let disk = try SmallDisk(byteCount: 256 << 10)
    let servers = try Servers()
    let ledger = "\(disk.path)/party.ledger"
    var processes: [PartyProcess] = []
    for number in 0...1 {
      var arguments = servers.arguments(number)
      if number == party { arguments[9] = ledger }
      processes.append(
        try PartyProcess(
          arguments: arguments, number, peer: processes.first?.address ?? "127.0.0.1:0"))
    }
    let parties = Parties(servers: servers, party0: processes[0], party1: processes[1])
    #expect(try parties.generate().session == 0)
    try Data(count: disk.freeByteCount).write(to: URL(filePath: "\(disk.path)/filler"))
    for _ in 0..<3 { try parties.refuse(saying: [ledger, "the disk is full"]) }
    try FileManager.default.removeItem(atPath: "\(disk.path)/filler")
    for session in 1..<Tiny.sessionCount {
      #expect(try parties.generate().session == session)
    }
    let log = try parties[party].tool.messages
    #expect(log.components(separatedBy: "error: ").count == 2, "\(log)")
    #expect(log.components(separatedBy: "mended: the disk is full").count == 2, "\(log)")
    try parties.stop()
    let batch = try servers.batch()
    for number in 0...1 {
      let path = number == party ? ledger : servers.folder.file("party\(number).ledger")
      let states = try LedgerSnapshot(path: path).states
      for session in 0..<Tiny.sessionCount {
        #expect(states[SessionKey(batch: batch, session: session)] == .finished)
      }
    }
  }
}
