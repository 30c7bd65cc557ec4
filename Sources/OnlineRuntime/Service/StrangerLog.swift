// Lines about strangers, who must not fill a disk by knocking.

import Bytes
import Synchronization

/// Lets the first lines of every minute through and counts the others.
public final class StrangerLog: Sendable {
  /// Lines of one minute.
  public static let lineCount = 20

  private struct State {
    var windowEnd: ContinuousClock.Instant?
    var written = 0
    var suppressed = 0
  }

  private let state = Mutex(State())
  private let write: @Sendable (String) -> Void

  public init(_ write: @escaping @Sendable (String) -> Void) { self.write = write }

  public func log(_ event: String, at now: ContinuousClock.Instant = .now) {
    finishWindow(at: now)
    let isWritten = state.withLock { state in
      if state.windowEnd == nil { state.windowEnd = now + .seconds(60) }
      guard state.written < StrangerLog.lineCount else {
        state.suppressed += 1
        return false
      }
      state.written += 1
      return true
    }
    if isWritten { write(event) }
  }

  /// Counts one that is not worth a line.
  public func count(at now: ContinuousClock.Instant = .now) {
    state.withLock { state in
      if state.windowEnd == nil { state.windowEnd = now + .seconds(60) }
      state.suppressed += 1
    }
  }

  /// Says how many lines were left out, once their minute is over.
  public func finishWindow(at now: ContinuousClock.Instant = .now) {
    let suppressed = state.withLock { state in
      guard let end = state.windowEnd, now >= end else { return 0 }
      defer { state = State() }
      return state.suppressed
    }
    if suppressed > 0 { write("dropped \(suppressed) more connections in the last minute") }
  }
}
