// Options with numbers that no arithmetic should meet: refused by name, or served.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct HugeNumberTests {
  private func deal(_ options: [String], in scratch: ScratchFolder) throws -> [String] {
    let model = try Tiny.converted.get()
    if !FilePaths.exists(scratch.file("shares")) {
      try Tool.succeed(
        "lodge-model", ["share", "\(model)/model.lodge", "--out", scratch.file("shares")])
    }
    return [scratch.file("shares"), "--out", scratch.file("out"), "--prompt", "3", "--new", "3"]
      + options
  }

  @Test(arguments: [
    "0..<1048577", "0..<9223372036854775807", "4294967295", "4294967290..<4294967296",
    "9223372036854775806",
  ])
  func numbersOfSessions(range: String) throws {
    let scratch = try ScratchFolder()
    try Tool.fail(
      "lodge-deal", deal(["--sessions", range], in: scratch),
      saying: ["--sessions: at most 2^20 sessions at a time, with numbers below 2^32 - 1"])
    #expect(!FilePaths.exists(scratch.file("out")))
  }

  /// As much as there is, and more.
  @Test func memory() throws {
    let scratch = try ScratchFolder()
    try Tool.succeed(
      "lodge-deal",
      deal(["--sessions", "4294967293..<4294967294", "--memory", "9000000TB"], in: scratch))
    try Tool.fail(
      "lodge-deal", deal(["--sessions", "1", "--memory", "10000000TB"], in: scratch), status: 64,
      saying: ["--memory"])
  }

  @Test func durations() throws {
    try Tool.fail(
      "lodge-client",
      [
        "--party0", "127.0.0.1:1", "--party1", "127.0.0.1:1", "--tokens", "none.json",
        "--timeout", "99999999999999999999h",
      ], status: 64, saying: ["--timeout", "at most 876000 hours"])
  }

  /// More tokens than positions, whatever they add up to.
  @Test func sessionLengths() throws {
    let model = try "\(Tiny.converted.get())/model.lodge"
    try Tool.fail(
      "lodge-check", ["cost", model, "--prompt", "1048576", "--new", "1048576"],
      saying: ["--prompt: 2097151 positions, the model has "])
    try Tool.fail(
      "lodge-check", ["cost", model, "--prompt", "9223372036854775807"], status: 64,
      saying: ["--prompt"])
  }
}
