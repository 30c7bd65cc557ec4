// Help texts and usage errors of every tool.

import Bytes
import Foundation
import Testing

@Suite struct HelpTests {
  /// All tools with their subcommands.
  static let commands: [[String]] = [
    ["lodge-model"], ["lodge-model", "convert"], ["lodge-model", "inspect"],
    ["lodge-model", "logits"],
    ["lodge-model", "calibrate"], ["lodge-model", "functions"], ["lodge-model", "recipes"],
    ["lodge-model", "approximate"], ["lodge-model", "sparsify"], ["lodge-model", "share"],
    ["lodge-deal"],
    ["lodge-deal", "status"], ["lodge-party"], ["lodge-party", "keygen"],
    ["lodge-client"], ["lodge-bench"], ["lodge-bench", "deal"], ["lodge-bench", "kernels"],
    ["lodge-check"],
    ["lodge-check", "program"],
    ["lodge-check", "cost"],
    ["lodge-check", "verify"], ["lodge-check", "validate"], ["lodge-check", "compare"],
    ["lodge-check", "logits"],
  ]

  @Test(arguments: commands)
  func helpHasAnExample(command: [String]) throws {
    let outcome = try Tool.run(command[0], Array(command.dropFirst()) + ["--help"])
    #expect(outcome.status == 0)
    #expect(outcome.messages.isEmpty)
    #expect(outcome.output.hasPrefix("\(command.joined(separator: " ")): "))
    let parts = outcome.output.components(separatedBy: "\nexample")
    try #require(parts.count == 2)
    #expect(parts[1].contains("  \(command.joined(separator: " "))"))
    #expect(outcome.output.split(separator: "\n").allSatisfy { $0.count <= 120 })
  }

  /// Every subcommand that a tool's help lists is tested above.
  @Test(arguments: ["lodge-model", "lodge-deal", "lodge-party", "lodge-check", "lodge-bench"])
  func allSubcommandsAreTested(tool: String) throws {
    let help = try Tool.succeed(tool, ["--help"])
    let section = help.components(separatedBy: "subcommands:\n").last ?? ""
    let listed = section.components(separatedBy: "\n\n")[0].split(separator: "\n").map {
      $0.split(separator: " ").first.map(String.init) ?? ""
    }
    #expect(
      Set(listed)
        == Set(HelpTests.commands.filter { $0[0] == tool }.compactMap { $0.dropFirst().first }))
  }

  @Test(arguments: [
    (["lodge-model"], "a subcommand is missing"),
    (["lodge-model", "covert"], "unknown subcommand"),
    (["lodge-model", "inspect"], "CHECKPOINT"),
    (["lodge-model", "approximate", "x", "--out", "y"], "--tokens"),
    (
      ["lodge-model", "approximate", "x", "--tokens", "t", "--out", "y", "--headroom", "0"],
      "--headroom"
    ),
    (["lodge-model", "share", "x", "--out", "y", "--deployment", "three"], "--deployment"),
    (["lodge-model", "logits", "x", "--tokens", "t", "--out", "o", "--tokens-out", "u"], "--new"),
    (["lodge-deal", "x", "--out", "y", "--sessions", "4..<2"], "--sessions"),
    (["lodge-deal", "x", "--out", "y", "--prompt", "0"], "--prompt"),
    (["lodge-deal", "x", "--out", "y", "--keep", "2", "--sessions", "0..<4"], "--keep"),
    (["lodge-deal", "x", "--out", "y", "--ledger0", "z"], "--ledger0"),
    (["lodge-deal", "status"], "CORR"),
    (["lodge-party", "--party", "2"], "--party"),
    (["lodge-party", "keygen"], "FILE"),
    (["lodge-client", "--party0", "a:1", "--tokens", "x"], "--party1"),
    (["lodge-client", "--provider", "a:1"], "--tokens"),
    (["lodge-check", "cost", "x", "--rtt", "10"], "--rtt"),
    (["lodge-check", "logits", "x"], "PLAINTEXT"),
    (["lodge-check", "compare", "x"], "--tokens"), (["lodge-check", "validate", "x"], "--tokens"),
    (["lodge-check", "validate", "x", "--tokens", "t", "--min-top1", "1.5"], "--min-top1"),
    (["lodge-check", "verify", "--nosuch"], "--nosuch"),
  ])
  func wrongUsageExits64(command: [String], part: String) throws {
    try Tool.fail(command[0], Array(command.dropFirst()), status: 64, saying: [part])
  }
}
