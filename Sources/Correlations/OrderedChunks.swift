// Work cut into chunks that are made on all cores and stored in order.

import Bytes
import Dispatch
import Synchronization

/// Chunks of several independent lanes, such as the sessions that are dealt together.
enum OrderedChunks {
  /// Calls `make` once for every chunk of every lane, on all cores, and `store` with what it made:
  /// in each lane one chunk after the other, in different lanes at the same time.
  ///
  /// As many parts are in memory as there are threads. Throws the error of the first task in the
  /// order (chunk, lane) that failed; nothing is stored in a lane after a failure in it.
  static func run<Part>(
    lanes: Int, chunks: Int,
    make: (_ lane: Int, _ chunk: Int) throws(InputError) -> Part,
    store: (_ lane: Int, _ chunk: Int, Part) throws(InputError) -> Void
  ) throws(InputError) {
    let turns = (0..<lanes * chunks).map { _ in DispatchSemaphore(value: 0) }
    let failures = Mutex<[(task: Int, error: InputError)]>([])
    withoutActuallyEscaping(make) { make in
      withoutActuallyEscaping(store) { store in
        // Tasks touch disjoint data by the contract of this function.
        nonisolated(unsafe) let (make, store) = (make, store)
        // Tasks begin in the order of their numbers, and none waits for a later one.
        DispatchQueue.concurrentPerform(iterations: turns.count) { task in
          let (chunk, lane) = (task / lanes, task % lanes)
          var part: Part?
          do throws(InputError) {
            if failures.withLock({ $0.isEmpty }) { part = try unsafe make(lane, chunk) }
          } catch {
            failures.withLock { $0.append((task, error)) }
          }
          // A task that has nothing to store waits as well: those after it rely on the order.
          if chunk > 0 { turns[task - lanes].wait() }
          defer { turns[task].signal() }
          guard let part, failures.withLock({ $0.isEmpty }) else { return }
          do throws(InputError) {
            try unsafe store(lane, chunk, part)
          } catch {
            failures.withLock { $0.append((task, error)) }
          }
        }
      }
    }
    if let first = failures.withLock({ $0.min { $0.task < $1.task } }) { throw first.error }
  }
}
