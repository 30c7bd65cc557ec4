// Tables and prose in terminals of some width, colours, and what a pipe gets.

import Arguments
import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct WidthTests {
  private static let narrow = TextStyle(columnCount: 40)

  private func table() -> TextTable {
    var table = TextTable([
      ("part", .name), ("largest error", .right), ("bytes", .right), ("shown to party 1", .prose),
    ])
    table.addRow(["layers.*.attention.softmax.reciprocal", "0.0123", "1.23 MB", "nothing"])
    table.addRow(["embed", "1234.5", "9 B", "arguments of exp and of 1/x in random order"])
    return table
  }

  /// Headings and prose are broken, names lose their middle, no number is cut.
  @Test func tablesTakeTheWidthThatThereIs() {
    let document = TextDocument(table())
    #expect(
      document.text == """
        part                                   largest error    bytes  shown to party 1
        -------------------------------------  -------------  -------  -------------------------------------------
        layers.*.attention.softmax.reciprocal         0.0123  1.23 MB  nothing
        embed                                         1234.5      9 B  arguments of exp and of 1/x in random order
        """)
    for columnCount in 30...110 {
      let lines = document.text(TextStyle(columnCount: columnCount)).split(separator: "\n")
      #expect(lines.allSatisfy { $0.count <= columnCount }, "\(columnCount): \(lines)")
      for whole in ["0.0123", "1234.5", "1.23 MB", "9 B", "layer", "ocal", "random"] {
        #expect(lines.contains { $0.contains(whole) }, "\(whole) in \(lines)")
      }
      // What is left out is told.
      #expect(
        lines.contains { !$0.hasPrefix("…") && $0.contains("…") }
          == lines.contains { $0.hasPrefix("… stands for") })
    }
  }

  /// Columns without room stand below, beside the first again.
  @Test func columnsThatHaveNoRoomFollowBelow() {
    var table = TextTable([
      ("layer", .right), ("fire", .right), ("never", .right), ("always", .right), ("open", .right),
    ])
    table.addRow(["0", "12.34 %", "100,000", "200,000", "99.99 %"])
    #expect(
      TextDocument(table).text(TextStyle(columnCount: 26)) == """
        layer     fire    never
        -----  -------  -------
            0  12.34 %  100,000

        layer   always     open
        -----  -------  -------
            0  200,000  99.99 %
        """)
  }

  @Test func proseIsBrokenAtWordsAndCommandsAreNot() {
    let command = "  lodge-party served/party0 --listen 127.0.0.1:9000 --peer 127.0.0.1:9001"
    let document: TextDocument = """
      A flight is one message each way at the same time.

      \(command)
      """
    #expect(
      document.text(Self.narrow) == """
        A flight is one message each way at the
        same time.

        \(command)
        """)
    let long = TextDocument(String(repeating: "word ", count: 50))
    #expect(long.text.split(separator: "\n").allSatisfy { $0.count <= 100 })
  }

  /// Labels, and rows that miss a threshold; only where there are colours.
  @Test func coloursAreForTerminals() {
    var table = TextTable([("threshold", .left), ("", .left)])
    table.addRow(["min-top1", "kept"])
    table.addRow(["max-kl", "MISSED"], isMarked: true)
    let coloured = TextStyle(isColoured: true)
    #expect(TextDocument(table).text(coloured).hasSuffix("\n\u{1b}[31mmax-kl     MISSED\u{1b}[0m"))
    #expect(!TextDocument(table).text.contains("\u{1b}"))
    let document = TextDocument(table)
    let tool = Command("tool", summary: "fails", example: "tool") { arguments in
      arguments.note("look")
      arguments.printNext([ShellCommand(["tool", "a b"])])
      arguments.console.show(document)
      throw InputError("file", "is wrong", hint: "mend it")
    }
    func run(_ style: TextStyle) -> CommandRun {
      let run = CommandRun()
      #expect(tool.execute([], console: run.console(style: style)) == 1)
      return run
    }
    #expect(
      run(.plain).error == """
        tool: note: look
        Next: tool 'a b'
        tool: error: file: is wrong
        tool: hint: mend it

        """)
    #expect(
      run(coloured).error == """
        tool: \u{1b}[36mnote:\u{1b}[0m look
        \u{1b}[32mNext:\u{1b}[0m tool 'a b'
        tool: \u{1b}[31merror:\u{1b}[0m file: is wrong
        tool: \u{1b}[36mhint:\u{1b}[0m mend it

        """)
    #expect(run(coloured).output.contains("\u{1b}[31mmax-kl"))
  }

  @Test func helpFitsTheTerminal() {
    let tool = Command(
      "tool", summary: "does things", details: "One line\nand another of\none paragraph.\n\nTwo.",
      example: "tool --rate 3",
      options: [Option("rate", .count, help: "how many of them in a second, or in a minute")]
    ) { _ in }
    let run = CommandRun()
    #expect(tool.execute(["--help"], console: run.console(style: Self.narrow)) == 0)
    #expect(run.output.contains("\n\nOne line and another of one paragraph.\n\nTwo.\n\n"))
    #expect(run.output.contains("\n  --rate N   how many of them in a\n"), "\(run.output)")
  }

  /// Names differ by a slip, not by a number: those are others of their kind.
  @Test func misspeltPathsGetAHint() throws {
    let folder = try ScratchFolder()
    for name in ["calibration.json", "000000.json.sig"] { _ = try folder.write([], to: name) }
    try FileManager.default.createDirectory(
      atPath: folder.file("party0"), withIntermediateDirectories: false)
    for name in ["x.json", "manifest.json"] { _ = try folder.write([], to: "party0/\(name)") }
    func hint(_ path: String) -> String {
      InputError("\(folder.path)/\(path)", "cannot open", system: 2).hint
    }
    #expect(hint("calibraton.json") == "did you mean \(folder.path)/calibration.json?")
    #expect(hint("party1").isEmpty && hint("other").isEmpty)
    #expect(hint("part0/x.json") == "did you mean \(folder.path)/party0/x.json?")
    // What is named is there, and a signature is not the file that it belongs to.
    #expect(hint("part0/manfest.json") == "did you mean \(folder.path)/party0/manifest.json?")
    #expect(hint("part0/other") == "did you mean the folder \(folder.path)/party0?")
    #expect(hint("000000.json").isEmpty)
  }
}
