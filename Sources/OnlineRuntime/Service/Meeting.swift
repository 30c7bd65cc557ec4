// One acquaintance of both parties, and the connections on which sessions run while it lasts.

import Bytes
import Synchronization

/// What begins when both parties have compared their ledgers, and ends with the connection on which
/// they did.
///
/// Each session runs on a connection of its own, a lane: one that waits, or is lost, is nothing to
/// the others. A lane serves one session after another.
final class Meeting: Sendable {
  static let identifierByteCount = 16

  private struct State {
    var isOver = false
    /// Lanes of this meeting, busy ones included.
    var count = 0
    var idle: [Connection] = []
  }

  /// Drawn by party 0: only who was told it can open lanes.
  let identifier: [UInt8]
  /// The most lanes.
  let capacity: Int
  /// Is told of each lane that was closed here.
  private let forget: @Sendable (Connection) -> Void
  private let state = Mutex(State())

  init(identifier: [UInt8], capacity: Int, forget: @escaping @Sendable (Connection) -> Void) {
    self.identifier = identifier
    self.capacity = capacity
    self.forget = forget
  }

  /// A new one, under a name that nobody can guess.
  convenience init(capacity: Int, forget: @escaping @Sendable (Connection) -> Void) {
    var generator = SystemRandomNumberGenerator()
    self.init(
      identifier: (0..<Meeting.identifierByteCount).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }, capacity: capacity, forget: forget)
  }

  var isOver: Bool { state.withLock { $0.isOver } }

  /// Ends the meeting: idle lanes close, others when their session is over.
  func end() {
    let idle = state.withLock { state in
      state.isOver = true
      defer { state.idle = [] }
      return state.idle
    }
    drop(idle)
  }

  private func drop(_ lanes: [Connection]) {
    for lane in lanes {
      lane.close()
      forget(lane)
    }
  }

  /// Drops the lanes that were lost while nothing ran on them.
  private func dropLost() {
    drop(
      state.withLock { state in
        let lost = state.idle.filter { lane in
          // Party 1 has nothing to say before a proposal.
          lane.isBroken || lane.isClosedByPeer
            || Connection.wait([(lane, Readiness.readable)], milliseconds: 0)[0] != 0
        }
        if lost.isEmpty { return [] }
        state.idle.removeAll { lane in lost.contains { $0 === lane } }
        state.count -= lost.count
        return lost
      })
  }

  /// Party 0: takes a new lane; false where the meeting is over or has all its lanes.
  func add(_ lane: Connection) -> Bool {
    dropLost()
    return state.withLock { state in
      guard !state.isOver, state.count < capacity else { return false }
      state.count += 1
      state.idle.append(lane)
      return true
    }
  }

  /// Party 0: whether a lane is free.
  var hasIdleLane: Bool {
    dropLost()
    return state.withLock { !$0.idle.isEmpty }
  }

  /// Party 0: a lane that is free; it is the caller's until `giveBack`.
  func takeIdleLane() -> Connection? {
    dropLost()
    return state.withLock { $0.idle.popLast() }
  }

  /// Party 0: a session on `lane` is over.
  func giveBack(_ lane: Connection) {
    let isKept = state.withLock { state in
      guard !state.isOver, !lane.isBroken, !lane.isClosedByPeer else {
        state.count -= 1
        return false
      }
      state.idle.append(lane)
      return true
    }
    if !isKept { drop([lane]) }
  }
}
