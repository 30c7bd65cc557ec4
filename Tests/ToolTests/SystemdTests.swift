// The units of tools/systemd: systemd understands them, and the commands in them exist.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct SystemdTests {
  private static let folder = Repository.root.appending(path: "tools/systemd")

  private func command(_ unit: String) throws -> [String] {
    let text = try String(
      contentsOf: Self.folder.appending(path: unit), encoding: .utf8
    ).replacing("\\\n", with: " ")
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("ExecStart=") })
    return line.dropFirst("ExecStart=".count).split(separator: " ").map(String.init)
  }

  /// Every option that a unit or its settings name is one of the tool's.
  @Test(arguments: [("lodge-party@.service", "party.env"), ("lodge-deal@.service", "deal.env")])
  func optionsExist(unit: String, settings: String) throws {
    let words = try command(unit)
    let tool = FilePaths.lastComponent(of: words[0])
    let help = try Tool.succeed(tool, ["--help"])
    let text = try String(
      contentsOf: Self.folder.appending(path: settings), encoding: .utf8)
    let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
    let names = Set(lines.map { $0.prefix { $0 != "=" } })
    let given = words + lines.flatMap { $0.split { " =".contains($0) }.map(String.init) }
    let options = given.filter { $0.hasPrefix("--") }
    #expect(options.count > 4)
    for option in options { #expect(help.contains("  \(option) "), "\(option)") }
    // Every setting that is used is given, and none besides.
    let used = Set(
      words.joined(separator: " ").matches(of: /\$\{?([A-Z_]+)/).map(\.1)
    ).subtracting(["CREDENTIALS_DIRECTORY"])
    #expect(used == names)
  }

  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze")))
  func unitsAreWellFormed() throws {
    let scratch = try ScratchFolder()
    var paths: [String] = []
    for name in try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
    where !name.hasSuffix(".env") {
      // The instance of a model, with a program that is there.
      let text = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
        .replacing(/\/usr\/local\/bin\/lodge-[a-z]+/, with: "/bin/true")
      paths.append(try scratch.write(text.utf8, to: name.replacing("@", with: "@opt")))
    }
    #expect(paths.count == 3)
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/systemd-analyze")
    process.arguments = ["verify", "--man=no"] + paths
    let pipe = Pipe()
    process.standardError = pipe
    try process.run()
    let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0 && said.isEmpty, "\(said)")
  }
}
