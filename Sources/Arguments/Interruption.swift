// What a tool asks of the system before it holds secrets, and how it ends when it is interrupted.

import Bytes
import CProcess
import Foundation
import Glibc
import Synchronization

enum Interruption {
  /// What the running command leaves; nil where it has not said.
  fileprivate static let left = Mutex<(@Sendable () -> String)?>(nil)

  /// Keeps memory out of core files and crash reports, for the life of this process.
  /// - Throws: `InputError` where the system refuses.
  static func discloseNoMemory() throws(InputError) {
    let code = lodge_disclose_no_memory()
    guard code == 0 else {
      throw InputError("core files", "cannot be turned off: \(SystemError.message(code))")
    }
  }

  /// From now on SIGINT, SIGTERM and SIGHUP remove what is unfinished and end the process as they
  /// would have, with a line that says so.
  ///
  /// - Parameter command: The command line that goes on, which is printed as well.
  static func removeUnfinishedFiles(
    tool: String, command: ShellCommand?, console: Console
  ) throws(InputError) {
    let descriptor = lodge_interruptions()
    guard descriptor >= 0 else {
      throw InputError("signals", "cannot be handled: \(SystemError.message(errno))")
    }
    Thread.detachNewThread {
      var byte: UInt8 = 0
      while unsafe read(descriptor, &byte, 1) != 1 {}
      let number = Int32(byte)
      UnfinishedFiles.removeAll {
        console.report(.error, "interrupted by \(name(of: number))", of: tool)
        let left = left.withLock { $0 }?() ?? "the same command begins again"
        console.report(.hint, "unfinished files are removed; \(left)", of: tool)
        if let command { console.report(next: command) }
        _ = signal(number, SIG_DFL)
        kill(getpid(), number)
        // Another thread may take the signal.
        while true { pause() }
      }
    }
  }

  private static func name(of number: Int32) -> String {
    switch number {
    case SIGINT: "SIGINT"
    case SIGTERM: "SIGTERM"
    case SIGHUP: "SIGHUP"
    default: "signal \(number)"
    }
  }
}

extension ParsedArguments {
  /// From here on, a run that is interrupted says `text`: what is kept, and how to go on.
  public func onInterruption(_ text: @escaping @Sendable () -> String) {
    Interruption.left.withLock { $0 = text }
  }
}
