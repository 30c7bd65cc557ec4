// Runs tools/report, which makes HTML pages of results.

public import Bytes

/// The Python helper that draws reports.
public struct ReportTool: Sendable {
  private let tool: HelperTool

  /// - Throws: `InputError` where it is not found or its Python packages are missing.
  public init() throws(InputError) {
    tool = try HelperTool("report", for: "--report")
    // No long work is to end without it.
    try tool.run(["--help"])
  }

  /// Writes the page of `document` to `out`.
  public func write(_ document: JSON, to out: String) throws(InputError) {
    let temporary = try TemporaryFolder(prefix: "lodge-report")
    let file = "\(temporary.path)/report.json"
    try AtomicFile.write(Array(document.text.utf8), to: file)
    try withExtendedLifetime(temporary) { () throws(InputError) in
      _ = try tool.run([file, "--out", out])
    }
  }
}
