// Runs a command of the repository's folder tools, which is written in Python.

import Foundation

/// A helper such as tools/report, found above the executable or in $LODGE_TOOLS.
public struct HelperTool: Sendable {
  private let name: String
  public let path: String

  private static let hint =
    "set LODGE_TOOLS to the repository's folder tools, and run tools/setup there"

  /// Finds the tool `name`.
  ///
  /// - Parameter use: What needs it, for errors.
  /// - Throws: `InputError` where it is not found.
  public init(_ name: String, for use: String) throws(InputError) {
    self.name = name
    if let folder = ProcessInfo.processInfo.environment["LODGE_TOOLS"] {
      path = "\(folder)/\(name)"
      guard FilePaths.exists(path) else {
        throw InputError(path, "there is no such tool (LODGE_TOOLS)", hint: HelperTool.hint)
      }
      return
    }
    var folder = FilePaths.resolved("/proc/self/exe") ?? "/"
    while folder != "/", !FilePaths.exists("\(folder)/tools/\(name)") {
      folder = FilePaths.folder(of: folder)
    }
    path = "\(folder)/tools/\(name)"
    guard folder != "/" else {
      throw InputError(use, "tools/\(name) is not above the executable", hint: HelperTool.hint)
    }
  }

  /// Runs the tool to its end with `input` as its standard input; returns what it printed.
  ///
  /// - Throws: `InputError` with the tool's own error where it fails.
  @discardableResult
  public func run(_ arguments: [String], input: String = "") throws(InputError) -> String {
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    let (given, printed, errors) = (Pipe(), Pipe(), Pipe())
    process.standardInput = given
    process.standardOutput = printed
    process.standardError = errors
    do {
      try process.run()
    } catch {
      throw InputError(path, "cannot be run: \(error.localizedDescription)")
    }
    // Written beside the reading: neither pipe may fill while the other waits.
    let bytes = Data(input.utf8)
    let writer = given.fileHandleForWriting
    DispatchQueue.global().async {
      try? writer.write(contentsOf: bytes)
      try? writer.close()
    }
    let output = (try? printed.fileHandleForReading.readToEnd()) ?? Data()
    let messages = (try? errors.fileHandleForReading.readToEnd()) ?? Data()
    process.waitUntilExit()
    guard process.terminationStatus != 0 else { return String(decoding: output, as: UTF8.self) }
    let lines = String(decoding: messages, as: UTF8.self).split(separator: "\n")
    func line(_ kind: String) -> String? {
      let label = "\(name): \(kind): "
      return lines.last { $0.contains(label) }.map { String($0.dropFirst(label.count)) }
    }
    throw InputError(
      path,
      line("error") ?? lines.last.map(String.init)
        ?? "failed with status \(process.terminationStatus)",
      hint: line("hint") ?? "run tools/setup in the repository")
  }
}
