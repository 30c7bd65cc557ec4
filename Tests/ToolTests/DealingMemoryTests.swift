// `lodge-deal` stays within its --memory, however many sessions it deals.

import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct DealingMemoryTests {
  /// Sessions of the fixture, whose open files alone would take hundreds of megabytes.
  private static func arguments(_ shares: String, _ out: String, _ memory: String) -> [String] {
    [
      shares, "--sessions", "0..<12", "--prompt", "2", "--new", "1", "--memory", memory, "--out",
      out,
    ]
  }

  /// The largest resident set of a process while it lives, in bytes.
  private static func peakByteCount(_ tool: RunningTool) throws -> Int {
    var peak = 0
    while tool.isRunning {
      let status =
        (try? String(contentsOfFile: "/proc/\(tool.identifier)/status", encoding: .utf8)) ?? ""
      if let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
        let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
      {
        peak = max(peak, kilobytes << 10)
      }
      usleep(2000)
    }
    return peak
  }

  @Test func peaksStayBelowTheBudget() throws {
    let folder = try ScratchFolder()
    let checkpoint = Repository.fixtures.appending(path: "opt-dickens-5m").path
    let model = folder.file("model.lodge")
    let shares = folder.file("shares")
    try Tool.succeed(
      "lodge-model",
      [
        "approximate", checkpoint, "--tokens", "\(checkpoint)/calibration.json", "--out", model,
      ])
    try Tool.succeed("lodge-model", ["share", model, "--out", shares])
    var found: [[Data]] = []
    for (memory, limit) in [("128MiB", 128 << 20), ("2GiB", 2 << 30)] {
      let out = folder.file(memory)
      if let seed = found.isEmpty ? nil : folder.file("128MiB/dealer.batch") {
        try FileManager.default.createDirectory(
          atPath: out, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: seed, toPath: "\(out)/dealer.batch")
      }
      let tool = try RunningTool("lodge-deal", Self.arguments(shares, out, memory))
      let peak = try Self.peakByteCount(tool)
      let messages = try tool.messages
      #expect(try tool.wait(.seconds(60)) == 0, "\(messages)")
      #expect((20 << 20..<limit).contains(peak), "\(memory): \(peak) bytes")
      print("lodge-deal --memory \(memory): \(peak >> 20) MiB at most")
      let files = (0...1).map { "\(out)/party\($0)/000011.corr" }
      found.append(try files.map { try Data(contentsOf: URL(filePath: $0)) })
      try FileManager.default.removeItem(atPath: "\(out)/party0")
      try FileManager.default.removeItem(atPath: "\(out)/party1")
    }
    #expect(found[0] == found[1])
  }

  @Test func tooSmallABudgetIsRefused() throws {
    try Tool.fail(
      "lodge-deal", Self.arguments("x", "y", "1MB"), status: 64,
      saying: ["--memory", "at least 128MiB"])
  }
}
