// One piece of work on another thread, whose error is not lost.

import Bytes
import Dispatch
import Synchronization

/// Runs at once; `wait` gives its outcome.
final class BackgroundTask: Sendable {
  private let group = DispatchGroup()
  private let failure = Mutex<InputError?>(nil)

  init(_ body: @escaping @Sendable () throws(InputError) -> Void) {
    DispatchQueue.global().async(group: group) { [self] in
      do throws(InputError) {
        try body()
      } catch {
        failure.withLock { $0 = error }
      }
    }
  }

  /// Returns when the work is done; throws what it threw.
  func wait() throws(InputError) {
    group.wait()
    if let error = failure.withLock({ $0 }) { throw error }
  }
}
