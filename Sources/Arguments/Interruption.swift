// What a tool asks of the system before it holds secrets, and how it ends when it is interrupted.

import Bytes
import CProcess
import Foundation
import Glibc

enum Interruption {
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
  static func removeUnfinishedFiles(tool: String, console: Console) throws(InputError) {
    let descriptor = lodge_interruptions()
    guard descriptor >= 0 else {
      throw InputError("signals", "cannot be handled: \(SystemError.message(errno))")
    }
    Thread.detachNewThread {
      var byte: UInt8 = 0
      while unsafe read(descriptor, &byte, 1) != 1 {}
      let number = Int32(byte)
      UnfinishedFiles.removeAll {
        console.report("\(tool): error: interrupted by \(name(of: number))")
        console.report(
          "\(tool): hint: unfinished files are removed, finished ones kept: run the same command "
            + "again to go on")
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
