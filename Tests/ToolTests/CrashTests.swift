// A crash writes nothing of a tool's memory: no core file, no reading by others, no crash report.

import Bytes
import Foundation
import Glibc
import TestSupport
import Testing

@Suite struct CrashTests {
  /// A tool that waits in the middle of its work: its standard output is full.
  private struct WaitingTool {
    let tool: RunningTool
    private let pipe = Pipe()
    private let folder: ScratchFolder

    /// As a user that may own no other's files, where the tests may choose one.
    init(_ name: String, environment: [String: String] = [:]) throws {
      folder = try ScratchFolder()
      let end = pipe.fileHandleForWriting.fileDescriptor
      let flags = fcntl(end, F_GETFL)
      _ = fcntl(end, F_SETFL, flags | O_NONBLOCK)
      let bytes = [UInt8](repeating: 0x20, count: 4096)
      while unsafe write(end, bytes, bytes.count) > 0 {}
      while unsafe write(end, bytes, 1) > 0 {}
      _ = fcntl(end, F_SETFL, flags)
      var executable = try Tool.executable(name)
      var arguments = ["--help"]
      if geteuid() == 0 {
        // Where others can read and start it.
        let copy = folder.file(name)
        try FileManager.default.copyItem(atPath: executable.path, toPath: copy)
        for path in [folder.path, copy] { #expect(unsafe chmod(path, 0o755) == 0) }
        executable = URL(filePath: "/usr/bin/setpriv")
        arguments = ["--reuid", "65534", "--clear-groups", copy] + arguments
      }
      tool = try RunningTool(
        executable: executable, arguments, environment: environment,
        output: pipe.fileHandleForWriting)
      let limit = ContinuousClock.now + .seconds(20)
      while !isInItsWork(name), ContinuousClock.now < limit { usleep(5000) }
      try #require(tool.isRunning && isInItsWork(name))
    }

    /// Whether the process is the tool, and ignores SIGPIPE, which it does last before its work.
    private func isInItsWork(_ name: String) -> Bool {
      let path = "/proc/\(tool.identifier)/status"
      guard let status = try? String(contentsOfFile: path, encoding: .utf8) else { return false }
      let ignored = status.split(separator: "\n").first { $0.hasPrefix("SigIgn:\t") }
        .flatMap { UInt64($0.dropFirst(8), radix: 16) }
      return status.contains("Name:\t\(name)\n") && (ignored ?? 0) >> UInt64(SIGPIPE - 1) & 1 == 1
    }
  }

  @Test(arguments: Tool.names) func memoryStaysInMemory(name: String) throws {
    let waiting = try WaitingTool(name)
    let path = "/proc/\(waiting.tool.identifier)"
    let limits = try String(contentsOfFile: "\(path)/limits", encoding: .utf8)
    let core = limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") }
    #expect(core?.split(separator: " ").dropFirst(4).prefix(2) == ["0", "0"], "\(limits)")
    // The files of a process that is not dumpable belong to root.
    var file = stat()
    #expect(unsafe stat("\(path)/environ", &file) == 0 && file.st_uid == 0)
  }

  /// Even where a user has asked for reports.
  @Test(arguments: [SIGSEGV, SIGILL, SIGFPE, SIGTRAP]) func aCrashPrintsNothing(signal: Int32)
    throws
  {
    let waiting = try WaitingTool(
      "lodge-check", environment: ["SWIFT_BACKTRACE": "enable=yes,color=no,interactive=no"])
    waiting.tool.signal(signal)
    #expect(try waiting.tool.wait(.seconds(60)) == -signal)
    #expect(try waiting.tool.messages.isEmpty)
  }
}
