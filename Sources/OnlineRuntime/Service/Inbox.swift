// What the threads that greet connections leave for the thread that serves sessions.

import Bytes
import Synchronization
import Trust

/// The state that a party's threads share.
final class Inbox: Sendable {
  fileprivate struct State {
    var peer: Connection?
    var clients: [WaitingClient] = []
    var mismatch: InputError?
    var meeting: Meeting?
    var absence: String? = "starting"
    var turns = Turns()
    var isStopping = false
    var isStopped = false
    /// Connections that are being greeted, oldest first.
    var greeted: [(connection: Connection, name: String)] = []
    /// Connections to close when the party stops.
    var active: [Connection] = []
  }

  /// Connections that are greeted at most, and waiting clients at most.
  static let capacity = 64

  /// Sessions that run at once.
  private let sessionCapacity: Int
  private let state = Mutex(State())
  private let changed: Wake

  init(sessionCapacity: Int) throws(InputError) {
    self.sessionCapacity = sessionCapacity
    changed = try Wake()
  }

  var isStopped: Bool { state.withLock { $0.isStopped } }
  var mismatch: InputError? { state.withLock { $0.mismatch } }
  var peer: Connection? { state.withLock { $0.peer } }

  /// Whether the party ends when its running steps are done.
  var isStopping: Bool { state.withLock { $0.isStopping } }

  /// Party 0: the meeting whose lanes are taken.
  var meeting: Meeting? {
    get { state.withLock { $0.meeting } }
    set { state.withLock { $0.meeting = newValue } }
  }

  /// Why nobody is served at all; nil while the parties are together.
  var absence: String? {
    get { state.withLock { $0.absence } }
    set { state.withLock { $0.absence = newValue } }
  }

  /// Why a client that waits now has to wait. How many others there are is not for it to know.
  var notice: String {
    state.withLock { state in
      if let absence = state.absence { return absence }
      return state.turns.runningCount < sessionCapacity
        ? "about to be served" : "busy with other clients"
    }
  }

  /// Ends the wait of the serving thread.
  func signal() { changed.signal() }

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
      if state.isStopping { return ("this party is being stopped", nil) }
      var displaced: WaitingClient?
      switch FairShare.verdict(
        client.holder, among: state.clients.map(\.holder), capacity: Inbox.capacity)
      {
      case .admitted: break
      case .inPlaceOf(let index) where state.clients[index].holder != client.holder:
        displaced = state.clients.remove(at: index)
      case .inPlaceOf, .refused: return (Inbox.busyReason, nil)
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

  /// The client whose turn it is among those that are `isReady`, where one more session may run; it
  /// leaves the queue, and `endSession` must follow.
  func takeNext(where isReady: (WaitingClient) -> Bool) -> WaitingClient? {
    state.withLock { state in
      guard !state.isStopped, !state.isStopping, state.turns.runningCount < sessionCapacity else {
        return nil
      }
      let ready = state.clients.filter(isReady)
      guard let index = state.turns.next(among: ready.map(\.holder)) else { return nil }
      state.begin(ready[index])
      return ready[index]
    }
  }

  /// Party 1: takes `client` out of the queue for a session; false when it was not there any more.
  func beginSession(of client: WaitingClient) -> Bool {
    let isThere = state.withLock { state in
      guard state.clients.contains(where: { $0 === client }) else { return false }
      state.begin(client)
      return true
    }
    changed.signal()
    return isThere
  }

  /// Notes that what `takeNext` or `beginSession` began is over.
  func endSession(of client: WaitingClient) {
    state.withLock { $0.turns.end(client.holder) }
    changed.signal()
  }

  /// Sessions that run.
  var runningCount: Int { state.withLock { $0.turns.runningCount } }

  /// Waits until no session runs.
  func awaitSessions(_ limit: Deadline) {
    while runningCount > 0, !limit.hasPassed { pauseShortly() }
  }

  /// Begins no more sessions; returns the clients of the queue, or nil where that was said before.
  func finish() -> [WaitingClient]? {
    defer { changed.signal() }
    return state.withLock { state in
      guard !state.isStopping, !state.isStopped else { return nil }
      state.isStopping = true
      defer { state.clients = [] }
      return state.clients
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

extension Inbox {
  static let busyReason = "busy: too many clients are waiting here"
}

extension Inbox.State {
  fileprivate mutating func begin(_ client: WaitingClient) {
    clients.removeAll { $0 === client }
    turns.begin(client.holder)
  }
}
