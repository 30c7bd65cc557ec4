// Chooses and runs sessions: what both parties do, for all sessions that run at once.

import Bytes
import Synchronization

/// Chooses and claims sessions together with the other party, and runs them, each on a thread of
/// its own.
final class SessionServer: Sendable {
  private struct State {
    /// Party 0: sessions that could not be used when they were last tried; why is not kept, since it was
    /// of another client's connection.
    var setAside: [SessionKey: SessionFault.Kind] = [:]
    /// Party 0: sessions that are being opened and claimed.
    var reserved: Set<SessionKey> = []
    /// Party 0: the clients that wait at party 1.
    var seenByPeer: [SeenClient] = []
    /// Party 0: since when clients could have come to party 1.
    var hasMetSince = ContinuousClock.now
    var standing = StandingFault()
  }

  let service: PartyService
  let provider: any SessionProvider
  let ledger: PatientLedger
  let memory: SessionMemory
  /// For who asks at `--metrics`.
  let stock = Mutex(StockCount())
  private let state = Mutex(State())

  init(service: PartyService, provider: any SessionProvider, ledger: sending SessionLedger) {
    self.service = service
    self.provider = provider
    self.ledger = PatientLedger(ledger)
    memory = SessionMemory(byteCount: service.configuration.memoryByteCount)
  }

  /// Logs a fault of the ledger or the machine unless it is known; returns whether it was new.
  @discardableResult
  func report(_ error: InputError) -> Bool {
    let isNew = state.withLock { $0.standing.isNew(error) }
    if isNew { service.log("error: \(error): no session is used until this is mended") }
    return isNew
  }

  /// Notes that a session could be claimed.
  func reportClaim() {
    if let cause = state.withLock({ $0.standing.clear() }) { service.log("mended: \(cause)") }
  }

  static func fits(_ begin: BeginMessage, _ session: SessionDescription) -> Bool {
    begin.promptCount <= session.promptCapacity && begin.newCount <= session.newCapacity
  }

  /// Waits until `session` fits the memory that others leave; the caller gives it back.
  func awaitMemory(
    for session: SessionDescription, of client: WaitingClient
  ) throws(SessionFault) {
    let party = "party \(service.identity.party)"
    guard session.memoryByteCount <= memory.byteCount else {
      let needed = Quantity.text(byteCount: session.memoryByteCount)
      throw SessionFault(
        .client,
        InputError(
          party,
          "\(session.key) takes \(needed) while it runs, more than the "
            + "\(Quantity.text(byteCount: memory.byteCount)) that are allowed here",
          hint: "start the party with a larger --memory, or deal smaller sessions"))
    }
    let isTaken = memory.take(session.memoryByteCount) { [service] in
      !service.inbox.isStopped && !service.inbox.isStopping && !client.connection.isClosedByPeer
    }
    guard isTaken else {
      throw SessionFault(.client, InputError(party, "the client left, or the party stops"))
    }
  }

  /// Runs a session that both parties have claimed.
  func run(
    _ client: WaitingClient, _ key: SessionKey, _ engine: any SessionEngine, peer: Connection
  ) {
    client.stopWaiting()
    service.log("\(key) starts for \(client.connection.label)")
    var run = SessionRun(service: service, client: client, peer: peer, engine: engine)
    let end = run.run(key)
    do throws(InputError) {
      try ledger.end(key, as: end.isFinished ? .finished : .burned)
    } catch {
      report(error)
    }
    service.metrics.addEnd(isFinished: end.isFinished)
    if end.isFinished {
      try? client.connection.send(.end, end.payload, deadline: .after(.seconds(5)))
      let counters = run.counters
      service.log(
        "\(key) finished: \(counters.rounds) flights, "
          + "\(Quantity.text(byteCount: counters.bytesSent)) sent, "
          + "\(Quantity.text(byteCount: counters.bytesReceived)) received")
    } else {
      let refusal = Refusal(reason: end.reason, hint: "the session is burned; ask for a new one")
      try? client.connection.send(.refusal, refusal.payload, deadline: .after(.seconds(5)))
      service.log("\(key) burned: \(end.reason)")
    }
    runInBackground { client.connection.closeGently() }
  }
}

extension SessionServer {
  // What party 0 keeps in mind.

  /// Forgets the clients of an earlier meeting.
  func beginMeeting() {
    state.withLock { state in
      state.seenByPeer = []
      state.hasMetSince = .now
    }
  }

  var seenByPeer: [SeenClient] {
    get { state.withLock { $0.seenByPeer } }
    set { state.withLock { $0.seenByPeer = newValue } }
  }

  var hasMetSince: ContinuousClock.Instant { state.withLock { $0.hasMetSince } }

  /// What kind of fault a session had; nil where nothing is known against it.
  func fault(of key: SessionKey) -> SessionFault.Kind? { state.withLock { $0.setAside[key] } }

  /// Remembers what stands against a session, or that nothing does; returns whether that is new.
  func setAside(_ key: SessionKey, _ fault: SessionFault.Kind?) -> Bool {
    state.withLock { state in
      defer { state.setAside[key] = fault }
      return state.setAside[key] != fault
    }
  }

  func isReserved(_ key: SessionKey) -> Bool { state.withLock { $0.reserved.contains(key) } }

  /// Takes a session for one client to open and claim; false where another does that now.
  func reserve(_ key: SessionKey) -> Bool { state.withLock { $0.reserved.insert(key).inserted } }

  func release(_ key: SessionKey) { state.withLock { _ = $0.reserved.remove(key) } }
}
