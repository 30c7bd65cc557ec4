// Which datasets of a container under construction are filled, across threads.

import Synchronization

/// Remembers which bytes are written, keeps the digests that are known, and closes the door at the
/// end.
final class FillProgress: Sendable {
  private struct State {
    var isClosed = false
    var activeCount = 0
    var written: [RangeUnion]
    var digests: [[UInt8]?]
  }

  private let state: Mutex<State>

  init(datasetCount: Int) {
    state = Mutex(
      State(
        written: Array(repeating: RangeUnion(), count: datasetCount),
        digests: Array(repeating: nil, count: datasetCount)))
  }

  /// Runs `body` between the first write and `close`; a write after `finish` is misuse and traps.
  func writing<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    state.withLock {
      precondition(!$0.isClosed, "a container is written to after finish()")
      $0.activeCount += 1
    }
    defer { state.withLock { $0.activeCount -= 1 } }
    return try body()
  }

  /// Bytes `range` of `dataset` are written; their digest is known where they are all of it.
  func add(_ range: Range<Int>, to dataset: Int, digest: [UInt8]? = nil) {
    state.withLock {
      $0.written[dataset].insert(range)
      $0.digests[dataset] = digest
    }
  }

  /// No write may follow or be under way; gives bytes written and known digest of each dataset.
  func close() -> [(byteCount: Int, digest: [UInt8]?)] {
    state.withLock {
      precondition($0.activeCount == 0, "finish() is called while a thread still writes")
      $0.isClosed = true
      return zip($0.written, $0.digests).map { (byteCount: $0.count, digest: $1) }
    }
  }
}
