// Quantities, tables and progress lines as people read them.

import Arguments
import Bytes
import Testing

@Suite struct FormattingTests {
  @Test(arguments: [
    ("10ms", 0.01), ("1.5s", 1.5), ("2min", 120), ("1h", 3600), ("250us", 250e-6), ("7 s", 7),
  ])
  func durations(text: String, seconds: Double) throws {
    let value = try #require(Quantity.duration(text))
    #expect(abs(value - seconds) <= 1e-12 * seconds)
  }

  @Test(arguments: ["", "s", "10", "-1s", "1e400s", "10 parsec", "1.2.3s", "nan s", "٣s"])
  func notDurations(text: String) { #expect(Quantity.duration(text) == nil) }

  @Test func bandwidthsAndByteCounts() {
    #expect(Quantity.bandwidth("1Gbps") == 1e9)
    #expect(Quantity.bandwidth("0Gbps") == nil)
    #expect(Quantity.byteCount("2GB") == 2_000_000_000)
    #expect(Quantity.byteCount("1.5KiB") == 1536)
    #expect(Quantity.byteCount("9999999TB") == nil)
  }

  @Test(arguments: [
    (0, "0 us"), (850e-6, "850 us"), (0.0123, "12.3 ms"), (0.9996, "1.00 s"), (4.2, "4.20 s"),
    (59.96, "1 min 00 s"), (185, "3 min 05 s"), (7620, "2 h 07 min"), (-1, "unknown"),
    (Double.infinity, "unknown"),
  ])
  func secondsText(seconds: Double, text: String) {
    #expect(Quantity.text(seconds: seconds) == text)
  }

  @Test(arguments: [
    (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (9994, "9.99 kB"), (9999, "10.0 kB"),
    (999_499, "999 kB"), (999_500, "1.00 MB"), (30_500_000, "30.5 MB"), (-2500, "-2.50 kB"),
  ])
  func byteText(count: Int, text: String) { #expect(Quantity.text(byteCount: count) == text) }

  @Test func decimals() {
    #expect(Quantity.decimal(-0.004, fractionDigits: 2) == "0.00")
    #expect(Quantity.decimal(-1.005, fractionDigits: 1) == "-1.0")
    #expect(Quantity.decimal(12.0625, fractionDigits: 3) == "12.063")
    #expect(Quantity.decimal(2.5e9, fractionDigits: 0) == "2500000000")
  }

  @Test func tables() {
    var table = TextTable([("layer", .left), ("bytes", .right)])
    table.addRow(["attention", "12"])
    table.addRow(["mlp", "1234"])
    table.addRule()
    table.addRow(["", "1246"])
    #expect(
      table.text == """
        layer      bytes
        ---------  -----
        attention     12
        mlp         1234
        ---------  -----
                    1246
        """)
  }

  @Test func progressLines() {
    #expect(
      Progress.line(label: "dealing", done: 3, total: 8, unit: .items("sessions"), seconds: 6)
        == "dealing: 3/8 sessions, 0.50/s, 10.0 s left")
    #expect(
      Progress.line(label: "writing", done: 30_000_000, total: 0, unit: .bytes, seconds: 2)
        == "writing: 30.0 MB, 15.0 MB/s")
  }

  @Test func progressIsSilentForShortWorkAndWithoutTerminal() {
    let run = CommandRun()
    for isTerminal in [true, false] {
      let console = run.console(errorIsTerminal: isTerminal)
      let progress = Progress("work", total: 3, unit: .items("steps"), console: console)
      for _ in 0..<3 { progress.advance() }
      progress.finish()
    }
    #expect(run.error.isEmpty)
  }
}
