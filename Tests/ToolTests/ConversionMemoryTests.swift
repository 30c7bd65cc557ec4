// `lodge-model approximate` and `share` hold little of a large checkpoint at a time.

import Bytes
import TestSupport
import Testing

@Suite struct ConversionMemoryTests {
  /// tools/measure/conversion with one layer and few tokens: peaks stay below the 0.18 GB of weights.
  @Test(.needsPython) func peaksStayBelowTheBudget() throws {
    let outcome = try PythonTool("measure/conversion").run(
      [
        "--size", "0.18", "--vocabulary", "4000", "--repetitions", "1", "--memory", "128MiB",
      ])
    try #require(outcome.status == 0, "\(outcome.errors)")
    let rows = outcome.output.split(separator: "\n").map { $0.split(separator: " ") }
    for command in ["approximate", "share"] {
      let row = try #require(rows.first { $0.first == command[...] }, "\(outcome.output)")
      let peak = try #require(row.suffix(2).first.flatMap { Int($0) })
      #expect(row.last == "MB" && (20..<150).contains(peak), "\(outcome.output)")
    }
  }

  @Test func tooSmallABudgetIsRefused() throws {
    try Tool.fail(
      "lodge-model", ["share", "x.lodge", "--out", "y", "--memory", "1MB"], status: 64,
      saying: ["--memory", "at least 128MiB"])
  }
}
