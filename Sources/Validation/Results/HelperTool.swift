// Runs a command of the repository's folder tools, which is written in Python.

public import Bytes
import Foundation

/// A helper such as tools/report, found above the executable or in $LODGE_TOOLS.
public struct HelperTool: Sendable {
  private let name: String
  private let path: String

  /// Finds the tool `name` and sees that it runs, so that no long work ends without it.
  ///
  /// - Parameter option: What needs it, for errors.
  /// - Throws: `InputError` where it is not found or its Python packages are missing.
  public init(_ name: String, for option: String) throws(InputError) {
    self.name = name
    let hint = "set LODGE_TOOLS to the repository's folder tools, and run tools/setup there"
    if let folder = ProcessInfo.processInfo.environment["LODGE_TOOLS"] {
      path = "\(folder)/\(name)"
      guard FilePaths.exists(path) else {
        throw InputError(path, "there is no such tool (LODGE_TOOLS)", hint: hint)
      }
    } else {
      let executable = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
      var folder = executable.deletingLastPathComponent()
      while folder.path != "/", !FilePaths.exists("\(folder.path)/tools/\(name)") {
        folder.deleteLastPathComponent()
      }
      path = "\(folder.path)/tools/\(name)"
      guard folder.path != "/" else {
        throw InputError(option, "tools/\(name) is not above the executable", hint: hint)
      }
    }
    try run(["--help"])
  }

  /// Runs the tool to its end; its standard input is the file `input`, or nothing.
  ///
  /// - Throws: `InputError` with the tool's own error where it fails.
  public func run(_ arguments: [String], input: String? = nil) throws(InputError) {
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    process.standardInput = input.flatMap { FileHandle(forReadingAtPath: $0) } ?? .nullDevice
    process.standardOutput = FileHandle.nullDevice
    let messages = Pipe()
    process.standardError = messages
    do {
      try process.run()
    } catch {
      throw InputError(path, "cannot be run: \(error.localizedDescription)")
    }
    let text = String(decoding: messages.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus != 0 else { return }
    func line(_ kind: String) -> String? {
      text.split(separator: "\n").last { $0.contains("\(name): \(kind): ") }.map {
        String($0.dropFirst("\(name): \(kind): ".count))
      }
    }
    throw InputError(
      path,
      line("error") ?? text.split(separator: "\n").last.map(String.init)
        ?? "failed with status \(process.terminationStatus)",
      hint: line("hint") ?? "run tools/setup in the repository")
  }
}
