// A thread whose result a test waits for.

import Dispatch
import Foundation
import Synchronization

/// Runs `body` on its own thread.
final class Worker<Value: Sendable>: Sendable {
  private let result = Mutex<Result<Value, any Error>?>(nil)
  private let done = DispatchSemaphore(value: 0)

  init(_ body: @escaping @Sendable () throws -> Value) {
    Thread.detachNewThread { [self] in
      let outcome = Result { try body() }
      result.withLock { $0 = outcome }
      done.signal()
    }
  }

  /// The result; throws `WorkerTimeout` when there is none after `seconds`.
  func value(seconds: Double = 30) throws -> Value {
    guard done.wait(timeout: .now() + seconds) == .success else { throw WorkerTimeout() }
    done.signal()
    guard let result = result.withLock({ $0 }) else { throw WorkerTimeout() }
    return try result.get()
  }
}

struct WorkerTimeout: Error {}
