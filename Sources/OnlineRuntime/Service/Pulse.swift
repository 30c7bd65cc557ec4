// Signs of life that a server gives its client while a step takes long.

import Dispatch
import Synchronization

/// Tells a client every few seconds that its party computes: one that says nothing is stopped, however
/// long a step takes.
final class Pulse: Sendable {
  private let client: Connection
  /// Locked while a sign is sent, so that none comes behind what ends the work.
  private let isWorking = Mutex(false)
  private let end = DispatchSemaphore(value: 0)

  /// Begins a thread that `stop` ends.
  init(_ client: Connection, interval: Duration) {
    self.client = client
    runInBackground { [self] in
      while end.wait(timeout: .now() + interval / .seconds(1)) == .timedOut { beat() }
    }
  }

  private func beat() {
    isWorking.withLock { isWorking in
      guard isWorking else { return }
      // A client that has gone is noticed by who answers it.
      try? client.send(
        .waiting, WaitingNotice.payload("computing"), deadline: .after(.seconds(1)))
    }
  }

  /// Does what the client has to wait for.
  func during<Result, Failure: Error>(
    _ work: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    isWorking.withLock { $0 = true }
    defer { isWorking.withLock { $0 = false } }
    return try work()
  }

  func stop() { end.signal() }
}
