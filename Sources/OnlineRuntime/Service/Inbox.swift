// What the threads that greet connections leave for the thread that serves sessions.

import Bytes
import Dispatch
import Randomness
import Synchronization

/// A client that has said what it wants and waits for its turn.
final class WaitingClient: Sendable {
  let connection: Connection
  let begin: BeginMessage
  /// Expands to party 1's input shares; nil at party 0.
  let seed: Seed?
  /// False once its session starts; locked while a notice is being sent, so that none comes late.
  private let isWaiting = Mutex(true)

  init(connection: Connection, begin: BeginMessage, seed: Seed?) {
    self.connection = connection
    self.begin = begin
    self.seed = seed
  }

  /// Tells the client why it waits; returns false when it waits no more or has left.
  func notify(_ reason: String) -> Bool {
    isWaiting.withLock { isWaiting in
      guard isWaiting, !connection.isClosedByPeer else { return false }
      do throws(InputError) {
        try connection.send(
          .waiting, WaitingNotice.payload(reason), deadline: .after(.seconds(1)))
        return true
      } catch {
        return false
      }
    }
  }

  /// Ends the notices: from here on the serving thread alone uses the connection.
  func stopWaiting() { isWaiting.withLock { $0 = false } }
}

/// The state that a party's threads share.
final class Inbox: Sendable {
  private struct State {
    var peer: Connection?
    var clients: [WaitingClient] = []
    var mismatch: InputError?
    var status = "starting"
    var isStopped = false
    /// Connections that have not said who they are, oldest first.
    var strangers: [Connection] = []
    /// Clients whose threads keep them informed.
    var waiting: [Connection] = []
    /// Connections to close when the party stops.
    var active: [Connection] = []
  }

  /// Strangers at most, and waiting clients at most.
  static let capacity = 64

  private let state = Mutex(State())
  private let changed = DispatchSemaphore(value: 0)

  var isStopped: Bool { state.withLock { $0.isStopped } }
  var mismatch: InputError? { state.withLock { $0.mismatch } }
  var peer: Connection? { state.withLock { $0.peer } }

  /// Why a client that waits now has to wait.
  var status: String {
    get { state.withLock { $0.status } }
    set { state.withLock { $0.status = newValue } }
  }

  /// Waits for a change, at most `milliseconds`.
  func wait(milliseconds: Int) {
    _ = changed.wait(timeout: .now() + .milliseconds(milliseconds))
  }

  /// Counts a stranger in; false when the party is stopped.
  ///
  /// Where too many say nothing, the oldest of them gives way: those who speak at once get through.
  func admit(_ connection: Connection) -> Bool {
    state.withLock { state in
      guard !state.isStopped else { return false }
      if state.strangers.count >= Inbox.capacity { state.strangers.removeFirst().close() }
      state.strangers.append(connection)
      state.active.append(connection)
      return true
    }
  }

  /// Counts a stranger as a client that waits; false when too many do.
  func recognise(_ connection: Connection) -> Bool {
    state.withLock { state in
      state.strangers.removeAll { $0 === connection }
      guard state.waiting.count < Inbox.capacity else { return false }
      state.waiting.append(connection)
      return true
    }
  }

  /// Counts a connection out that no thread greets or notifies any more.
  func dismiss(_ connection: Connection) {
    state.withLock { state in
      state.strangers.removeAll { $0 === connection }
      state.waiting.removeAll { $0 === connection }
    }
  }

  /// Keeps `connection` among those that `stop` closes at once.
  func register(_ connection: Connection) {
    state.withLock { state in
      state.active.removeAll { $0.isBroken || $0 === connection }
      state.active.append(connection)
      if state.isStopped { connection.close() }
    }
  }

  /// Forgets a connection that is done with.
  func forget(_ connection: Connection) {
    state.withLock { state in state.active.removeAll { $0 === connection } }
  }

  /// Makes `connection` the peer unless there is a living one.
  func offerPeer(_ connection: Connection) -> Bool {
    let isTaken = state.withLock { state in
      if let peer = state.peer, !peer.isBroken, !peer.isClosedByPeer { return false }
      state.peer = connection
      return true
    }
    changed.signal()
    return isTaken
  }

  /// Closes a lost peer; a new one that has come in the meantime stays.
  func dropPeer(_ peer: Connection) {
    peer.close()
    state.withLock { state in
      state.active.removeAll { $0 === peer }
      if state.peer === peer { state.peer = nil }
    }
  }

  func reportMismatch(_ error: InputError) {
    state.withLock { $0.mismatch = error }
    changed.signal()
  }

  func add(_ client: WaitingClient) {
    state.withLock { $0.clients.append(client) }
    changed.signal()
  }

  /// Takes `client` out of the queue; false when it was not there any more.
  func remove(_ client: WaitingClient) -> Bool {
    state.withLock { state in
      let count = state.clients.count
      state.clients.removeAll { $0 === client }
      return state.clients.count < count
    }
  }

  /// The client that has waited longest; it leaves the queue.
  func nextClient() -> WaitingClient? {
    state.withLock { $0.clients.isEmpty ? nil : $0.clients.removeFirst() }
  }

  /// The waiting client of a request; it stays in the queue.
  func client(request: [UInt8]) -> WaitingClient? {
    state.withLock { state in state.clients.first { $0.begin.request == request } }
  }

  /// Ends everything: waits return, connections close.
  func stop() {
    let connections = state.withLock { state in
      state.isStopped = true
      return state.active
    }
    for connection in connections { connection.close() }
    changed.signal()
  }
}
