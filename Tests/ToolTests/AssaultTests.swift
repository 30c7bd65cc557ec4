// tools/development/assault in its short form, and that it sees what it looks for.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .needsPython) struct AssaultTests {
  /// A row of the table: its name, the counts, and the seconds.
  private static func numbers(_ row: String, in table: String) throws -> [Int] {
    let line = try #require(table.split(separator: "\n").first { $0.hasPrefix(row) }, "\(table)")
    let fields = line.dropFirst(row.count).split(separator: " ")
    return fields.prefix(8).compactMap { Int($0.replacingOccurrences(of: ",", with: "")) }
  }

  private func assault(_ tools: String, _ more: [String] = []) throws -> PythonTool.Outcome {
    try PythonTool("development/assault").run(["--short", "--tools", tools] + more)
  }

  @Test func theShortFormFindsNothing() throws {
    let folder = try Tool.executable("lodge-party").deletingLastPathComponent().path
    let outcome = try assault(folder)
    #expect(outcome.status == 0, "\(outcome.output)\n\(outcome.errors)")
    for row in [
      "strangers' noise", "strangers with wrong keys", "frames under a known client's key",
      "a flood of strangers", "clients' frames before a session", "clients' frames in a session",
      "frames of a false party 0", "frames of a false party 1", "frames of a false user",
      "kills of a party",
      "altered files, one by one", "forged content", "altered signed files",
      "altered sessions in a folder", "altered sessions, dealt again", "altered sessions, served",
    ] {
      let line = try #require(
        outcome.output.split(separator: "\n").first { $0.hasPrefix(row) }, "\(outcome.output)")
      let tried = line.split(separator: "  ").dropFirst().first.flatMap {
        Int($0.trimmingCharacters(in: .whitespaces).replacingOccurrences(of: ",", with: ""))
      }
      #expect((tried ?? 0) > 0, "\(line)")
    }
    #expect(try AssaultTests.numbers("all", in: outcome.output)[0] > 500, "\(outcome.output)")
  }

  /// A folder of tools in which `name` is a script that may call the real one as "$real".
  private func tools(_ name: String, _ script: String) throws -> ScratchFolder {
    let folder = try ScratchFolder()
    for tool in Tool.names {
      let real = try Tool.executable(tool).path
      if tool != name {
        try FileManager.default.createSymbolicLink(
          atPath: folder.file(tool), withDestinationPath: real)
        continue
      }
      let path = try folder.write("#!/bin/bash\nreal='\(real)'\n\(script)\n".utf8, to: tool)
      try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
    }
    return folder
  }

  @Test func crashesAreCounted() throws {
    let folder = try tools(
      "lodge-check", "[ \"$1\" != program ] || kill -SEGV $$\nexec \"$real\" \"$@\"")
    let outcome = try assault(folder.path, ["--only", "files"])
    #expect(outcome.status == 1, "\(outcome.output)\n\(outcome.errors)")
    #expect(outcome.errors.contains("crashed: "))
    #expect(try AssaultTests.numbers("all", in: outcome.output)[4] > 0, "\(outcome.output)")
  }

  /// Parties that forget their ledgers use masks twice when both are killed.
  @Test func masksUsedTwiceAreCounted() throws {
    let folder = try tools(
      "lodge-party",
      "for word; do [ \"$last\" != --ledger ] || rm -f \"$word\"; last=$word; done\n"
        + "exec \"$real\" \"$@\"")
    // Whether the few kills of one run hit both parties within openings is chance.
    var outcome = try assault(folder.path, ["--only", "kills"])
    for _ in 0..<7 where outcome.status == 0 {
      outcome = try assault(folder.path, ["--only", "kills"])
    }
    #expect(outcome.status == 1, "\(outcome.output)\n\(outcome.errors)")
    #expect(try AssaultTests.numbers("all", in: outcome.output)[7] > 0, "\(outcome.output)")
  }
}
