// Runs tools/report, which makes the HTML page of a validation or a comparison.

public import Bytes
import Foundation

/// The Python helper that draws reports, found beside the executable or in $LODGE_TOOLS.
public struct ReportTool: Sendable {
  private let path: String

  /// Finds the tool and sees that it runs, so that a long evaluation does not end without a page.
  ///
  /// - Throws: `InputError` where it is not found or its Python packages are missing.
  public init() throws(InputError) {
    let hint = "set LODGE_TOOLS to the repository's folder tools, and run tools/setup there"
    if let folder = ProcessInfo.processInfo.environment["LODGE_TOOLS"] {
      path = "\(folder)/report"
      guard FilePaths.exists(path) else {
        throw InputError(path, "there is no such tool (LODGE_TOOLS)", hint: hint)
      }
    } else {
      let executable = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
      var folder = executable.deletingLastPathComponent()
      while folder.path != "/", !FilePaths.exists("\(folder.path)/tools/report") {
        folder.deleteLastPathComponent()
      }
      path = "\(folder.path)/tools/report"
      guard folder.path != "/" else {
        throw InputError("--report", "tools/report is not above the executable", hint: hint)
      }
    }
    try run(["--help"])
  }

  /// Writes the page of `document` to `out`.
  public func write(_ document: JSON, to out: String) throws(InputError) {
    let temporary = try TemporaryFolder(prefix: "lodge-report")
    let file = "\(temporary.path)/report.json"
    try AtomicFile.write(Array(document.text.utf8), to: file)
    try withExtendedLifetime(temporary) { () throws(InputError) in
      try run([file, "--out", out])
    }
  }

  private func run(_ arguments: [String]) throws(InputError) {
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
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
      text.split(separator: "\n").last { $0.contains("report: \(kind): ") }.map {
        String($0.dropFirst("report: \(kind): ".count))
      }
    }
    throw InputError(
      path,
      line("error") ?? text.split(separator: "\n").last.map(String.init)
        ?? "failed with status \(process.terminationStatus)",
      hint: line("hint") ?? "run tools/setup in the repository")
  }
}
