// Runs the Python helpers of tools/ as a user would.

import Foundation
public import Testing

/// A command of tools/ that runs in .venv.
public struct PythonTool: Sendable {
  /// What a run wrote, and its exit status.
  public struct Outcome: Sendable {
    public var status: Int32
    public var output: String
    public var errors: String
    public var errorLines: [Substring] { errors.split(separator: "\n") }
  }

  /// Whether tools/setup has made the environment.
  public static let isAvailable = FileManager.default.isExecutableFile(
    atPath: Repository.root.appending(path: ".venv/bin/python").path)

  public let name: String

  public init(_ name: String) { self.name = name }

  /// Runs the tool with `environment` added to that of the tests.
  public func run(_ arguments: [String], environment: [String: String] = [:]) throws -> Outcome {
    let scratch = try ScratchFolder()
    let process = Process()
    process.executableURL = Repository.root.appending(path: "tools/\(name)")
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    // Files, not pipes: nobody has to read while the process writes.
    var handles: [FileHandle] = []
    for stream in ["output", "errors"] {
      let path = try scratch.write([UInt8](), to: stream)
      handles.append(try FileHandle(forWritingTo: URL(filePath: path)))
    }
    process.standardOutput = handles[0]
    process.standardError = handles[1]
    try process.run()
    process.waitUntilExit()
    return Outcome(
      status: process.terminationStatus,
      output: try String(contentsOfFile: scratch.file("output"), encoding: .utf8),
      errors: try String(contentsOfFile: scratch.file("errors"), encoding: .utf8))
  }
}

extension Trait where Self == ConditionTrait {
  /// The test runs only where tools/setup has made .venv.
  public static var needsPython: Self {
    .enabled(if: PythonTool.isAvailable, ".venv is missing: run tools/setup")
  }
}
