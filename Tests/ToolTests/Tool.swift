// Runs the built executables as a user does.

import Bytes
import Foundation
import TestSupport
import Testing

/// Where the executables are: beside the test bundle.
enum Tool {
  static let names = [
    "lodge-model", "lodge-deal", "lodge-party", "lodge-client", "lodge-check", "lodge-bench",
  ]

  static func executable(_ name: String) throws -> URL {
    let bundle = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    let folders = [
      bundle.deletingLastPathComponent(), Repository.root.appending(path: ".build/release"),
    ]
    let candidates = folders.map { $0.appending(path: name) }
    return try #require(
      candidates.first { FileManager.default.isExecutableFile(atPath: $0.path) },
      "\(name) is not built")
  }

  /// What a finished run gave.
  struct Outcome {
    var status: Int32
    var output: String
    var messages: String

    private func lines(_ kind: String) -> [Substring] {
      messages.split(separator: "\n").filter { $0.contains(": \(kind): ") }
    }

    /// Lines that say what went wrong.
    var errors: [Substring] { lines("error") }
  }

  /// Runs a tool to its end.
  static func run(
    _ name: String, _ arguments: [String], limit: Duration = .seconds(120),
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Outcome {
    let process = try RunningTool(name, arguments)
    let status = try process.wait(limit, sourceLocation: sourceLocation)
    return Outcome(status: status, output: try process.output, messages: try process.messages)
  }

  /// Runs a tool that has to succeed and returns its standard output.
  @discardableResult
  static func succeed(
    _ name: String, _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    let outcome = try run(name, arguments, sourceLocation: sourceLocation)
    try #require(
      outcome.status == 0, "\(name) \(arguments): \(outcome.messages)",
      sourceLocation: sourceLocation)
    return outcome.output
  }

  /// Runs a tool that has to fail with `status` and one error line that holds all of `parts`.
  static func fail(
    _ name: String, _ arguments: [String], status: Int32 = 1, saying parts: [String],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let outcome = try run(name, arguments, sourceLocation: sourceLocation)
    expectFailure(
      outcome, of: name, status: status, saying: parts, sourceLocation: sourceLocation)
    #expect(outcome.output.isEmpty, sourceLocation: sourceLocation)
  }

  static func expectFailure(
    _ outcome: Outcome, of name: String, status: Int32 = 1, saying parts: [String],
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(
      outcome.status == status, "\(outcome.messages) \(outcome.output)",
      sourceLocation: sourceLocation)
    let errors = outcome.errors.filter { $0.hasPrefix("\(name): error: ") }
    #expect(errors.count == 1, "\(outcome.messages)", sourceLocation: sourceLocation)
    for part in parts {
      #expect(
        errors.first?.contains(part) == true, "\"\(part)\" is not in \(outcome.messages)",
        sourceLocation: sourceLocation)
    }
    // The error ends the messages, save for its hint.
    let last = outcome.messages.split(separator: "\n").last ?? ""
    #expect(
      last.hasPrefix("\(name): error: ") || last.hasPrefix("\(name): hint: "),
      "\(outcome.messages)", sourceLocation: sourceLocation)
  }
}

/// A tool that runs; killed when the last reference goes.
final class RunningTool {
  private let process = Process()
  private let folder: ScratchFolder

  convenience init(
    _ name: String, _ arguments: [String], environment: [String: String] = [:], input: Pipe? = nil
  ) throws {
    try self.init(
      executable: Tool.executable(name), arguments, environment: environment, input: input)
  }

  /// - Parameters:
  ///   - environment: Is added to that of the tests.
  ///   - input: Is read as standard input, which is nothing without it.
  ///   - output: Takes standard output in place of a file.
  init(
    executable: URL, _ arguments: [String], environment: [String: String] = [:],
    input: Pipe? = nil, output: FileHandle? = nil
  ) throws {
    folder = try ScratchFolder()
    process.executableURL = executable
    process.arguments = arguments
    process.standardInput = input ?? FileHandle.nullDevice
    // Files, not pipes: nobody has to read while the process runs.
    for file in ["output", "messages"] { _ = try folder.write([], to: file) }
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let results = try output ?? FileHandle(forWritingTo: URL(filePath: folder.file("output")))
    let messages = try FileHandle(forWritingTo: URL(filePath: folder.file("messages")))
    process.standardOutput = results
    process.standardError = messages
    try process.run()
    // A process that nobody waits for with `waitUntilExit` keeps its files for ever, and where more
    // than a thousand are open, the next may be started with a crash.
    try messages.close()
    if output == nil { try results.close() }
  }

  deinit { kill() }

  var output: String { get throws { try text("output") } }
  var messages: String { get throws { try text("messages") } }

  private func text(_ file: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(filePath: folder.file(file))), as: UTF8.self)
  }

  var isRunning: Bool { process.isRunning }

  var identifier: Int32 { process.processIdentifier }

  func signal(_ number: Int32) { _ = Foundation.kill(identifier, number) }

  /// Ends the process without giving it time for anything.
  func kill() {
    guard process.isRunning else { return }
    signal(SIGKILL)
    process.waitUntilExit()
  }

  /// The exit status, or minus the signal that ended the process.
  func wait(
    _ limit: Duration, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Int32 {
    let ended = poll(limit) { !process.isRunning }
    if !ended { kill() }
    let log = try messages
    try #require(ended, "still runs: \(log)", sourceLocation: sourceLocation)
    let status = process.terminationStatus
    return process.terminationReason == .exit ? status : -status
  }

  /// Waits until the messages hold `text`, and fails when the process ends before.
  func await(
    _ text: String, count: Int = 1, limit: Duration = .seconds(60),
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    var found = false
    _ = poll(limit) {
      let isRunning = process.isRunning
      found = ((try? messages) ?? "").components(separatedBy: text).count > count
      return found || !isRunning
    }
    let log = try messages
    try #require(found, "no \"\(text)\" in: \(log)", sourceLocation: sourceLocation)
  }

  /// Waits until `condition` holds; false where it does not in time.
  func poll(_ limit: Duration, _ condition: () -> Bool) -> Bool {
    let end = ContinuousClock.now + limit
    while !condition() {
      if ContinuousClock.now >= end { return false }
      usleep(5000)
    }
    return true
  }
}
