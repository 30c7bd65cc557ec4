// SIGTERM, SIGINT and SIGHUP as a request to stop cleanly.

public import Bytes
import CProcess
import Glibc

public enum TerminationSignals {
  /// Calls `stop` from a thread of its own whenever the process is asked to end, for the rest of its
  /// life; a signal that comes after this has returned is never lost.
  /// - Throws: `InputError` where the system refuses.
  public static func call(_ stop: @escaping @Sendable () -> Void) throws(InputError) {
    let descriptor = lodge_interruptions()
    guard descriptor >= 0 else {
      throw InputError("signals", "cannot be handled: \(SystemError.message(errno))")
    }
    runInBackground {
      var byte: UInt8 = 0
      while true {
        if unsafe read(descriptor, &byte, 1) == 1 { stop() }
      }
    }
  }
}
