// What the threads that greet connections leave for the thread that serves sessions.

import Bytes
import Synchronization
import Trust

/// The state that a party's threads share.
final class Inbox: Sendable {
  private struct State {
    var peer: Connection?
    var clients: [WaitingClient] = []
    var mismatch: InputError?
    var status = "starting"
    var isStopped = false
    /// Connections that are being greeted, oldest first.
    var greeted: [(connection: Connection, name: String)] = []
    /// Connections to close when the party stops.
    var active: [Connection] = []
  }

  /// Connections that are greeted at most, and waiting clients at most.
  static let capacity = 64

  private let state = Mutex(State())
  private let changed: Wake

  init() throws(InputError) { changed = try Wake() }

  var isStopped: Bool { state.withLock { $0.isStopped } }
  var mismatch: InputError? { state.withLock { $0.mismatch } }
  var peer: Connection? { state.withLock { $0.peer } }

  /// Why a client that waits now has to wait.
  var status: String {
    get { state.withLock { $0.status } }
    set { state.withLock { $0.status = newValue } }
  }

  /// Waits for a change or, where it is given, for something on `peer`; at most `milliseconds`.
  ///
  /// For the serving thread alone.
  func wait(milliseconds: Int, peer: Connection? = nil) {
    if let peer, peer.hasBufferedInput { return }
    var watched = [(changed.socket, Readiness.readable)]
    if let peer { watched.append((peer.socket, Readiness.readable | Readiness.closed)) }
    if Readiness.wait(watched, milliseconds: milliseconds)[0] != 0 { changed.clear() }
  }

  /// Gives a connection that has proved who it is a place to be greeted; false when the party is
  /// stopped.
  ///
  /// Where too many say nothing, the one that has waited longest gives way, of those who hold the
  /// most places.
  func admit(_ connection: Connection) -> Bool {
    let name = connection.peerKey?.bytes.hexadecimal ?? connection.host
    return state.withLock { state in
      guard !state.isStopped else { return false }
      switch FairShare.verdict(
        name, among: state.greeted.map(\.name), capacity: Inbox.capacity)
      {
      case .admitted: break
      case .inPlaceOf(let index): state.greeted.remove(at: index).connection.close()
      case .refused: return false
      }
      state.greeted.append((connection, name))
      state.active.append(connection)
      return true
    }
  }

  /// Takes back the place that `admit` gave.
  func dismiss(_ connection: Connection) {
    state.withLock { state in state.greeted.removeAll { $0.connection === connection } }
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

  /// Puts `client` into the queue, where there is a place for it.
  ///
  /// Its name may be taken, or all places by others who hold no more of them than it does.
  /// - Returns: Why it is not in the queue, and who lost a place to it.
  func add(_ client: WaitingClient) -> (refusal: String?, displaced: WaitingClient?) {
    let outcome = state.withLock { state -> (String?, WaitingClient?) in
      if state.clients.contains(where: { $0.name == client.name }) {
        return ("a client with this request waits here already", nil)
      }
      func holder(_ client: WaitingClient) -> String {
        client.name.key.isEmpty ? client.connection.host : client.name.key
      }
      var displaced: WaitingClient?
      switch FairShare.verdict(
        holder(client), among: state.clients.map(holder), capacity: Inbox.capacity)
      {
      case .admitted: break
      case .inPlaceOf(let index) where holder(state.clients[index]) != holder(client):
        displaced = state.clients.remove(at: index)
      case .inPlaceOf, .refused: return ("too many clients are waiting here", nil)
      }
      state.clients.append(client)
      return (nil, displaced)
    }
    changed.signal()
    return outcome
  }

  /// Takes `client` out of the queue; false when it was not there any more.
  func remove(_ client: WaitingClient) -> Bool {
    let isRemoved = state.withLock { state in
      let count = state.clients.count
      state.clients.removeAll { $0 === client }
      return state.clients.count < count
    }
    if isRemoved { changed.signal() }
    return isRemoved
  }

  /// The clients in the queue, in the order of their arrival.
  var clients: [WaitingClient] { state.withLock { $0.clients } }

  /// The first client in the queue that `isReady`; it leaves the queue.
  func take(where isReady: (WaitingClient) -> Bool) -> WaitingClient? {
    state.withLock { state in
      state.clients.firstIndex(where: isReady).map { state.clients.remove(at: $0) }
    }
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
