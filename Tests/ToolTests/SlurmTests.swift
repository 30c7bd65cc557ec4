// tools/slurm/submit explains itself and what is missing; tools/slurm/test runs it on a real
// cluster.

import Foundation
import TestSupport
import Testing

struct SlurmTests {
  private let folder: ScratchFolder
  /// A PATH with what the script needs; Slurm is not in it.
  private let path: String

  init() throws {
    folder = try ScratchFolder()
    path = folder.file("bin")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    for name in ["bash", "cat", "dirname", "mkdir", "realpath", "sed"] {
      let place = ["/usr/bin", "/bin"].map { "\($0)/\(name)" }
        .first(where: FileManager.default.isExecutableFile)
      try FileManager.default.createSymbolicLink(
        atPath: "\(path)/\(name)", withDestinationPath: #require(place))
    }
  }

  /// Writes an executable script into PATH.
  private func install(_ name: String, _ script: String) throws {
    let file = try folder.write("#!/bin/bash\n\(script)\n".utf8, to: "bin/\(name)")
    try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: file)
  }

  private func submit(_ arguments: [String]) throws -> PythonTool.Outcome {
    try PythonTool("slurm/submit").run(arguments, environment: ["PATH": path, "LODGE_TOOLS": path])
  }

  @Test func helpHasAnExample() throws {
    let outcome = try submit(["--help"])
    #expect(outcome.status == 0)
    #expect(outcome.output.contains("\nexample:\n  tools/slurm/submit shares"))
  }

  @Test(arguments: [
    (["shares", "--sessions", "0..<4"], "--out is missing"),
    (["--out", "corr", "--sessions", "0..<4"], "DIR is missing"),
    (["shares", "--out", "corr"], "--sessions '' is not a range such as '0..<100'"),
    (["shares", "--out", "corr", "--sessions", "4..<4"], "--sessions '4..<4' is empty"),
    (["shares", "--out", "corr", "--sessions", "0..<4", "--chunk", "0"], "'0' is not a number"),
    (["shares", "--out", "corr", "--session", "0..<4"], "unknown option --session"),
    (["shares", "--out"], "--out needs a value"),
  ])
  func wrongUsageIsNamed(arguments: [String], cause: String) throws {
    let outcome = try submit(arguments)
    #expect(outcome.status == 1 && outcome.errors.hasPrefix("submit: error: "))
    #expect(outcome.errors.contains(cause), "\(outcome.errors)")
  }

  @Test func whatIsMissingIsNamed() throws {
    let shares = folder.file("shares")
    let arguments = [shares, "--out", folder.file("corr"), "--sessions", "0..<20", "--dry-run"]
    #expect(try submit(arguments).errors.contains("sbatch is not installed"))
    try install("sbatch", "exit 1")
    #expect(try submit(arguments).errors.contains("dealer.bundle: is not there"))
    try FileManager.default.createDirectory(atPath: shares, withIntermediateDirectories: false)
    _ = try folder.write([UInt8](), to: "shares/dealer.bundle")
    #expect(try submit(arguments).errors.contains("lodge-deal is missing"))
    for tool in ["lodge-deal", "lodge-check"] { try install(tool, "exit 1") }
    #expect(try submit(arguments).errors.contains("the Slurm controller does not answer"))
    try install("scontrol", "echo 'MaxArraySize = 3'")
    let outcome = try submit(arguments)
    #expect(outcome.errors.contains("3 tasks are more than this cluster's arrays hold (3)"))
    let fitting = try submit(arguments + ["--chunk", "10"])
    #expect(fitting.status == 0, "\(fitting.errors)")
    #expect(fitting.output == "2 tasks of up to 10 sessions would be submitted\n")
    _ = try folder.write([UInt8](), to: "file")
    let unwritable = try submit([
      shares, "--out", folder.file("file/corr"), "--sessions", "0..<4",
    ])
    #expect(unwritable.errors.contains("a folder cannot be made or written here"))
  }
}
