// tools/measure/shapes on the smallest of the published shapes: everything but its size is that of the others.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .needsPython) struct MeasuredShapeTests {
  /// Output of the tool, and the cells of each row of its tables.
  func measured(_ arguments: [String]) throws -> (text: String, rows: [[String]]) {
    let folder = try Tool.executable("lodge-party").deletingLastPathComponent().path
    let outcome = try PythonTool("measure/shapes").run(
      ["bert-tiny"] + arguments + ["--tools", folder])
    #expect(outcome.status == 0, "\(outcome.output)\n\(outcome.errors)")
    let lines = outcome.output.split(separator: "\n").filter { $0.hasPrefix("| ") }
    let rows = lines.map { line in
      line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    return (outcome.output, rows)
  }

  /// The tool fails where parties count other flights or bytes than `cost` says.
  @Test func aTextRunsOnThisMachine() throws {
    let (text, rows) = try measured(["--repeat", "1"])
    let costs = try #require(rows.first { $0[0] == "accurate" }, "\(text)")
    try #require(costs.count == 11, "\(costs)")
    #expect((20...60).contains(Int(costs[1]) ?? 0), "\(costs)")
    #expect(text.contains("accurate, loopback, a text: median"), "\(text)")
    let commands = rows.map { $0[0] }
    for command in ["lodge-model approximate", "lodge-model share", "lodge-deal", "lodge-party 1"] {
      #expect(commands.contains(command), "\(text)")
    }
  }

  /// The line through 3 and 4 layers meets 2 layers, whose costs are computed as they are, with the
  /// fractional bits of the deeper ones: by itself each depth takes those that are best for it.
  @Test func depthsAreAddedUp() throws {
    let folder = try ScratchFolder()
    let stated = try folder.write(
      Array(#"{"name": "stated", "fractionalBits": 15}"#.utf8), to: "stated.json")
    let direct = try measured(["--layers", "2", "--cost", "--recipe", stated])
    let expected = try #require(direct.rows.first { $0[0] == "stated.json" }, "\(direct.text)")
    let line = try measured(["--layers", "3,4"])
    let found = try #require(line.rows.first { $0[0] == "accurate, 2 layers" }, "\(line.text)")
    #expect(found[1] == expected[1], "flights \(found) \(expected)")
    // Ranges of layers with random weights differ, and with them the levels of their keys.
    for (column, allowed) in [(2, 0.97...1.03), (4, 0.9...1.1)] {
      let (a, b) = (found[column].split(separator: " "), expected[column].split(separator: " "))
      try #require(a.count == 2 && b.count == 2 && a[1] == b[1], "\(found) \(expected)")
      let ratio = try #require(Double(a[0])) / #require(Double(b[0]))
      #expect(allowed.contains(ratio), "\(found) \(expected)")
    }
    // Of two depths the other one is converted with what the deeper one is planned with.
    let shared = try measured(["--layers", "2,3"])
    let shallow = try #require(shared.rows.first { $0[0] == "accurate, 2 layers" })
    #expect(shallow.dropFirst() == expected.dropFirst(), "\(shallow) \(expected)")
  }
}
