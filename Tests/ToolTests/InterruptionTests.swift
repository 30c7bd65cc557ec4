// Tools that are interrupted or killed leave no secret behind, and nothing that looks finished.

import Arguments
import Bytes
import Foundation
import Glibc
import TestSupport
import Testing

@Suite(.serialized) struct InterruptionTests {
  private static let signals = [SIGINT, SIGTERM, SIGHUP, SIGKILL]

  /// Names below `path`, partial files included.
  private func files(_ path: String) -> [String] {
    let names = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
    // Named by process, so that nobody finds again what a kill has left of it.
    return names.filter { !$0.hasPrefix(".dealer.batch.") }.sorted()
  }

  /// Runs a tool and sends `signal` so many milliseconds after something is in `folder`; returns
  /// its status.
  private func interrupt(
    _ name: String, _ arguments: [String], environment: [String: String] = [:],
    watching folder: String, delay: UInt32, signal: Int32
  ) throws -> Int32 {
    let tool = try RunningTool(name, arguments, environment: environment)
    while files(folder).isEmpty, tool.isRunning { usleep(500) }
    usleep(delay * 1000)
    tool.signal(signal)
    let status = try tool.wait(.seconds(60))
    let messages = try tool.messages
    if status == -signal, signal != SIGKILL {
      #expect(
        messages.contains("\(name): error: interrupted by SIG")
          && messages.contains("\(name): hint: unfinished files are removed; "), "\(messages)")
      // Most is begun again; of dealing, the rest.
      #expect(
        messages.contains(
          name == "lodge-deal"
            ? " of 3 sessions are finished and kept, the same command deals the rest\n"
            : "the same command begins again\n"), "\(messages)")
      let command = ShellCommand([try Tool.executable(name).path] + arguments)
      #expect(messages.hasSuffix("\nNext: \(command.text)\n"), "\(messages)")
    } else {
      #expect(status == -signal || status == 0, "\(status) \(messages)")
    }
    return status
  }

  /// Runs a tool whose files of a moment hold secrets: they go with the process, and with its parts
  /// where that is killed in the middle of them.
  private func leavesNothing(
    _ name: String, _ arguments: [String], scratch: ScratchFolder, signal: Int32
  ) throws {
    let temporary = scratch.file("temporary")
    try Folder.make(temporary)
    var endedEarly = 0
    for delay: UInt32 in [0, 3, 20, 60, 150] {
      let status = try interrupt(
        name, arguments, environment: ["TMPDIR": temporary], watching: temporary, delay: delay,
        signal: signal)
      endedEarly += status == 0 ? 0 : 1
      // The process that removes it ends shortly after.
      let end = ContinuousClock.now + .seconds(10)
      while !files(temporary).isEmpty, ContinuousClock.now < end { usleep(5000) }
      #expect(files(temporary).isEmpty, "\(name), \(signal) after \(delay) ms")
      #expect(try scratch.names().allSatisfy { !$0.hasSuffix(".partial") })
    }
    #expect(endedEarly > 1)
  }

  /// Plaintext weights and the files of both parties.
  @Test(arguments: InterruptionTests.signals) func validateLeavesNothing(signal: Int32) throws {
    let scratch = try ScratchFolder()
    let model = try "\(Tiny.converted.get())/model.lodge"
    let tokens = try scratch.write("[[1,2,3,4,5,6],[7,8,9,10,0,1]]".utf8, to: "eval.json")
    try leavesNothing(
      "lodge-check",
      [
        "validate", model, "--tokens", tokens, "--secure", "2", "--out",
        scratch.file("result.json"),
      ], scratch: scratch, signal: signal)
  }

  /// The same, of a whole conversion.
  @Test(arguments: [SIGINT, SIGKILL]) func benchLeavesNothing(signal: Int32) throws {
    let model = try Tiny.converted.get()
    try leavesNothing(
      "lodge-bench",
      [
        model, "--tokens", "\(model)/calibration.json", "--prompt", "3", "--new", "2",
        "--repeat", "2",
      ], scratch: ScratchFolder(), signal: signal)
  }

  /// What a machine that went down has left is removed by the next run; what another run uses is not.
  @Test func theNextRunRemovesAbandonedFolders() throws {
    let scratch = try ScratchFolder()
    let model = try "\(Tiny.converted.get())/model.lodge"
    let tokens = try scratch.write("[[1,2,3,4,5,6]]".utf8, to: "eval.json")
    let temporary = scratch.file("temporary")
    for name in ["lodge-validate-abandoned/shares", "lodge-validate-used/shares", "other-1"] {
      try Folder.make("\(temporary)/\(name)")
    }
    let used = unsafe open("\(temporary)/lodge-validate-used", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    #expect(flock(used, LOCK_EX | LOCK_NB) == 0)
    defer { close(used) }
    let tool = try RunningTool(
      "lodge-check", ["validate", model, "--tokens", tokens, "--secure", "1"],
      environment: ["TMPDIR": temporary])
    #expect(try tool.wait(.seconds(60)) == 0)
    #expect(files(temporary) == ["lodge-validate-used", "lodge-validate-used/shares", "other-1"])
  }

  /// A command that writes into a folder, again and again until it is through, interrupted at
  /// another moment each time; `isWhole` judges what is left.
  private func writes(
    _ name: String, _ signal: Int32, arguments: (String) throws -> [String],
    isWhole: ([String]) -> Bool
  ) throws {
    for delay: UInt32 in [0, 1, 4, 10, 25] {
      let scratch = try ScratchFolder()
      let folder = scratch.file("out")
      try Folder.make(folder)
      let words = try arguments(folder)
      _ = try interrupt(name, words, watching: folder, delay: delay, signal: signal)
      let left = files(folder)
      if signal != SIGKILL {
        #expect(
          left.allSatisfy { !$0.hasSuffix(".partial") } && isWhole(left),
          "\(name), \(signal) after \(delay) ms: \(left)")
      }
      // Where it was through, it says that its output is there.
      _ = try Tool.run(name, words)
      let finished = files(folder)
      #expect(
        finished.allSatisfy { !$0.hasSuffix(".partial") } && isWhole(finished)
          && !finished.isEmpty, "\(name), \(signal) after \(delay) ms: \(finished)")
    }
  }

  @Test(arguments: InterruptionTests.signals) func approximateGoesOn(signal: Int32) throws {
    let model = try Tiny.converted.get()
    try writes("lodge-model", signal) { folder in
      [
        "approximate", model, "--tokens", "\(model)/calibration.json", "--out",
        "\(folder)/model.lodge",
      ]
    } isWhole: {
      $0.isEmpty || $0 == ["model.lodge"]
    }
  }

  @Test(arguments: InterruptionTests.signals) func shareGoesOn(signal: Int32) throws {
    let model = try Tiny.converted.get()
    try writes("lodge-model", signal) { folder in
      ["share", "\(model)/model.lodge", "--out", folder]
    } isWhole: { files in
      // Bundles without their manifest must not look like a conversion.
      files.isEmpty
        || Set(files).isSuperset(
          of: ["dealer.bundle", "manifest.json", "party0.bundle", "party1.bundle"])
    }
  }

  @Test(arguments: InterruptionTests.signals) func dealGoesOn(signal: Int32) throws {
    let shares = try ScratchFolder()
    let model = try Tiny.converted.get()
    try Tool.succeed(
      "lodge-model", ["share", "\(model)/model.lodge", "--out", shares.file("shares")])
    try writes("lodge-deal", signal) { folder in
      [
        shares.file("shares"), "--sessions", "0..<3", "--prompt", "3", "--new", "3", "--out",
        folder,
      ]
    } isWhole: { files in
      files.filter { $0.hasSuffix(".corr") }.allSatisfy { $0.hasPrefix("party") }
    }
  }

  @Test(arguments: InterruptionTests.signals) func calibrateGoesOn(signal: Int32) throws {
    let model = try Tiny.converted.get()
    try writes("lodge-model", signal) { folder in
      [
        "calibrate", model, "--tokens", "\(model)/calibration.json", "--out",
        "\(folder)/calibration.lodge",
      ]
    } isWhole: {
      $0.isEmpty || $0 == ["calibration.lodge"]
    }
  }
}
