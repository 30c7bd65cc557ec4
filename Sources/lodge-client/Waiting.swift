// Servers that are not up yet.

import Arguments
import Bytes
import Foundation
import OnlineRuntime
import Synchronization

/// Whether it has been told that somebody does not listen: once for all questions.
private let isTold = Mutex(false)

/// Runs `begin`, and again when those listen who did not, for as long as `--wait` says.
///
/// - Throws: What `begin` throws, where that is anything else or the time is over.
func whenListening<Session>(_ arguments: ParsedArguments, _ begin: () throws -> Session) throws
  -> Session
{
  let seconds = try arguments.number("wait")
  let end = ContinuousClock.now + .seconds(seconds)
  let addresses = try ["party0", "party1", "provider"].compactMap { name throws(InputError) in
    try arguments.optionalString(name).map { text throws(InputError) in try Address(text) }
  }
  while true {
    do {
      return try begin()
    } catch let error as InputError where error.systemCode == ECONNREFUSED {
      guard ContinuousClock.now < end else {
        var error = error
        error.hint = "nobody listens there: start lodge-party, or wait longer with --wait"
        throw error
      }
      let isFirst = isTold.withLock { isTold in
        defer { isTold = true }
        return !isTold
      }
      if isFirst {
        arguments.note(
          "\(error.source) does not listen yet: waits up to \(Quantity.text(seconds: seconds)) (--wait)"
        )
      }
      while addresses.contains(where: { Connection.isRefused(by: $0) }),
        ContinuousClock.now < end
      { Thread.sleep(forTimeInterval: 0.25) }
    }
  }
}
