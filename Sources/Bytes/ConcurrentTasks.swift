// Independent tasks on all cores; results do not depend on how many threads there are.

import Dispatch
import Synchronization

/// Runs numbered tasks on the threads of libdispatch.
package enum ConcurrentTasks {
  /// Runs `body(0)` to `body(count - 1)`; throws the error of the lowest number that failed.
  package static func run(_ count: Int, _ body: (Int) throws(InputError) -> Void) throws(InputError)
  {
    let failure = Mutex<(index: Int, error: InputError)?>(nil)
    withoutActuallyEscaping(body) { body in
      // Tasks touch disjoint data by the contract of this function; pointers are not Sendable.
      nonisolated(unsafe) let body = body
      DispatchQueue.concurrentPerform(iterations: count) { index in
        // After a failure only lower numbers can change the outcome.
        if let earlier = failure.withLock({ $0?.index }), earlier < index { return }
        do throws(InputError) {
          try unsafe body(index)
        } catch {
          failure.withLock { current in
            if current.map({ $0.index > index }) ?? true { current = (index, error) }
          }
        }
      }
    }
    if let error = failure.withLock({ $0?.error }) { throw error }
  }
}

extension ConcurrentTasks {
  /// The results of `body(0)` to `body(count - 1)`, in order.
  package static func map<R: Sendable>(
    _ count: Int, _ body: (Int) throws(InputError) -> R
  ) throws(InputError) -> [R] {
    let results = Mutex([R?](repeating: nil, count: count))
    try run(count) { (index) throws(InputError) in
      let result = try body(index)
      results.withLock { $0[index] = result }
    }
    return results.withLock { $0.compactMap(\.self) }
  }
}
