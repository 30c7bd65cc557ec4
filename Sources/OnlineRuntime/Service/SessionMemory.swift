// The memory that running sessions may take together.

import Foundation
import Synchronization

/// Lets sessions begin in the order in which they asked, each when it fits what others leave.
final class SessionMemory: Sendable {
  private struct State {
    var used = 0
    var nextTicket = 0
    var waiting: [Int] = []
  }

  let byteCount: Int
  private let state = Mutex(State())

  init(byteCount: Int) { self.byteCount = byteCount }

  var usedByteCount: Int { state.withLock { $0.used } }

  /// Waits for `size` bytes, at most all there are; false where `isWanted` has ended before.
  func take(_ size: Int, while isWanted: () -> Bool) -> Bool {
    let ticket = state.withLock { state in
      defer { state.nextTicket += 1 }
      state.waiting.append(state.nextTicket)
      return state.nextTicket
    }
    while true {
      let isTaken = state.withLock { state in
        guard state.waiting.first == ticket, state.used + size <= byteCount else { return false }
        state.waiting.removeFirst()
        state.used += size
        return true
      }
      if isTaken { return true }
      if !isWanted() {
        state.withLock { state in state.waiting.removeAll { $0 == ticket } }
        return false
      }
      Thread.sleep(forTimeInterval: 0.02)
    }
  }

  func giveBack(_ size: Int) { state.withLock { $0.used -= size } }
}
