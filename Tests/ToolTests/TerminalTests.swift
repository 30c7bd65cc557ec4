// What people see in a terminal of 80 columns, and what NO_COLOR and COLUMNS change.

import Bytes
import Foundation
import Glibc
import TestSupport
import Testing

@Suite struct TerminalTests {
  /// Runs a tool in a pseudo-terminal and returns what it shows.
  private func inTerminal(
    _ name: String, _ arguments: [String], columnCount: UInt16 = 80,
    environment: [String: String] = [:]
  ) throws -> String {
    let master = unsafe open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    defer { close(master) }
    // Unlocked (TIOCSPTLCK), its other end has a number (TIOCGPTN).
    var (lock, number): (Int32, Int32) = (0, 0)
    try #require(
      unsafe master >= 0 && ioctl(master, 0x4004_5431, &lock) == 0
        && ioctl(master, 0x8004_5430, &number) == 0)
    var size = winsize(ws_row: 40, ws_col: columnCount, ws_xpixel: 0, ws_ypixel: 0)
    #expect(unsafe ioctl(master, UInt(TIOCSWINSZ), &size) == 0)
    let terminal = FileHandle(
      fileDescriptor: unsafe open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC),
      closeOnDealloc: true)
    let process = Process()
    process.executableURL = try Tool.executable(name)
    process.arguments = arguments
    var variables = ProcessInfo.processInfo.environment
    for name in ["COLUMNS", "NO_COLOR"] { variables[name] = nil }
    variables["TERM"] = "xterm"
    process.environment = variables.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = terminal
    process.standardError = terminal
    try process.run()
    try terminal.close()
    var shown: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      // The end of a terminal that nobody has open any more is an error, EIO.
      let count = unsafe read(master, &buffer, buffer.count)
      guard count > 0 else { break }
      shown += buffer.prefix(count)
    }
    process.waitUntilExit()
    return String(decoding: shown, as: UTF8.self).replacing("\r\n", with: "\n")
  }

  /// Every table and every help text; lines to be pasted are whole.
  @Test func everythingFitsEightyColumns() throws {
    let model = try Tiny.converted.get()
    let folder = try ScratchFolder()
    let tokens = "\(model)/calibration.json"
    let commands: [(String, [String])] = [
      ("lodge-model", ["recipes"]), ("lodge-model", ["inspect", model]),
      ("lodge-model", ["inspect", model, "--all"]), ("lodge-model", ["inspect", "--families"]),
      ("lodge-model", ["calibrate", model, "--tokens", tokens, "--out", folder.file("c.h5")]),
      (
        "lodge-model",
        [
          "functions", model, "--recipe", "pcft", "--tokens", tokens, "--out",
          folder.file("f.json"),
        ]
      ),
      ("lodge-model", ["approximate", model, "--tokens", tokens, "--out", folder.file("m.lodge")]),
      ("lodge-model", ["share", "\(model)/model.lodge", "--out", folder.file("shares")]),
      (
        "lodge-check",
        ["cost", "\(model)/model.lodge", "--no-compute", "--prompt", "3", "--new", "3"]
      ),
      (
        "lodge-check",
        ["cost", "\(model)/model.lodge", "--no-compute", "--prompt", "3", "--new", "3", "--all"]
      ),
      ("lodge-check", ["validate", "\(model)/model.lodge", "--tokens", tokens]),
      ("lodge-check", ["compare", "\(model)/model.lodge", "--tokens", tokens]),
      ("lodge-check", ["verify", folder.file("shares/manifest.json")]),
      ("lodge-check", ["verify", "\(model)/model.lodge"]),
      ("lodge-deal", ["status", "\(try Tiny.first.get())/correlations"]),
      ("lodge-client", ["--help"]), ("lodge-party", ["--help"]), ("lodge-deal", ["--help"]),
      ("lodge-model", ["convert", "--help"]), ("lodge-check", ["validate", "--help"]),
    ]
    for (name, arguments) in commands {
      let shown = try inTerminal(name, arguments, environment: ["NO_COLOR": "1"])
      #expect(!shown.contains("\u{1b}[3"), "\(name) \(arguments)")
      #expect(shown.count > 200, "\(name) \(arguments): \(shown)")
      for line in shown.split(separator: "\n") where line.count > 80 {
        let isWhole =
          line.hasPrefix("  ") || line.hasPrefix("Next: ") || line.contains(": note: ")
          || line.contains(folder.path) || line.contains(model)
        #expect(isWhole, "\(name) \(arguments): \(line)")
      }
    }
  }

  @Test func coloursAndColumns() throws {
    let wrong = ["inspect", "/nowhere"]
    #expect(
      try inTerminal("lodge-model", wrong).hasPrefix(
        "lodge-model: \u{1b}[31merror:\u{1b}[0m /nowhere"))
    for variables in [["NO_COLOR": "0"], ["TERM": "dumb"]] {
      #expect(
        try inTerminal("lodge-model", wrong, environment: variables).hasPrefix(
          "lodge-model: error: /nowhere"))
    }
    let wide = try inTerminal("lodge-model", ["recipes"], columnCount: 200)
    let narrow = try inTerminal("lodge-model", ["recipes"], environment: ["COLUMNS": "60"])
    func width(_ text: String) -> Int { text.split(separator: "\n").map(\.count).max() ?? 0 }
    #expect(width(wide) > 80 && width(narrow) <= 60)
    // A pipe takes all, whatever COLUMNS says.
    let piped = try RunningTool("lodge-model", ["recipes"], environment: ["COLUMNS": "60"])
    #expect(try piped.wait(.seconds(20)) == 0)
    #expect(try piped.output == wide)
  }
}
