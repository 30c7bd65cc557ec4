// A stock of several sizes: short questions take small sessions.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct StockSizeTests {
  /// A second batch in a folder of its own; each question gets the smallest session that fits.
  @Test func everyQuestionTakesTheSmallestThatFits() throws {
    let servers = try Servers()
    let large = try servers.batch()
    try Tool.succeed(
      "lodge-deal",
      [
        servers.folder.file("shares"), "--sessions", "1", "--prompt", "1", "--new", "1", "--out",
        servers.folder.file("small"),
      ])
    for party in 0...1 {
      try FileManager.default.moveItem(
        atPath: servers.folder.file("small/party\(party)"),
        toPath: "\(servers.correlations(party))/small")
    }
    let parties = try Parties(servers)
    let stock = "has 4 unused sessions: 1 for 1 + 1 tokens, 3 for 3 + 3 tokens"
    for party in 0...1 { try parties[party].tool.await(stock) }
    func batch(_ prompt: [Int], _ newCount: Int) throws -> String {
      let arguments = try parties.clientArguments(prompt: prompt, newCount: newCount) + ["--json"]
      let text = try Tool.succeed("lodge-client", arguments)
      return try #require(text.firstMatch(of: /"batch": "([0-9a-f]+)"/)).1.description
    }
    #expect(try batch([3, 1], 1) == large)
    #expect(try batch([3], 1) != large)
    // The small one is used.
    #expect(try batch([3], 1) == large)
    try parties.stop()
  }
}
