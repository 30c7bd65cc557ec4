// The thread that serves sessions: what both parties do.

import Bytes

/// Chooses and claims sessions together with the other party, and runs them.
struct SessionServer {
  let service: PartyService
  let provider: any SessionProvider
  var ledger: PatientLedger
  /// Party 0: sessions that could not be used, found out since the start.
  var setAside: [SessionKey: SessionFault] = [:]
  /// Party 0: the clients that wait at party 1.
  var seenByPeer: [SeenClient] = []
  /// Party 0: since when it has been able to serve whoever comes.
  var freeSince = ContinuousClock.now
  /// Party 1: what it has told party 0 of its clients; nil before the first time.
  var told: [SeenClient]?
  private var standing = StandingFault()

  init(service: PartyService, provider: any SessionProvider, ledger: SessionLedger) {
    self.service = service
    self.provider = provider
    self.ledger = PatientLedger(ledger)
  }

  /// Logs a fault of the ledger or the machine unless it is known; returns whether it was new.
  @discardableResult
  mutating func report(_ error: InputError) -> Bool {
    let isNew = standing.isNew(error)
    if isNew { service.log("error: \(error): no session is used until this is mended") }
    return isNew
  }

  /// Notes that a session could be claimed.
  mutating func reportClaim() {
    if let cause = standing.clear() { service.log("mended: \(cause)") }
  }

  static func fits(_ begin: BeginMessage, _ session: SessionDescription) -> Bool {
    begin.promptCount <= session.promptCapacity && begin.newCount <= session.newCapacity
  }

  /// Runs a session that both parties have claimed.
  mutating func run(
    _ client: WaitingClient, _ key: SessionKey, _ engine: any SessionEngine, peer: Connection
  ) {
    service.log("\(key) starts for \(client.connection.label)")
    var run = SessionRun(service: service, client: client, peer: peer, engine: engine)
    let end = run.run(key)
    do throws(InputError) {
      try ledger.end(key, as: end.isFinished ? .finished : .burned)
    } catch {
      report(error)
    }
    if end.isFinished {
      try? client.connection.send(.end, end.payload, deadline: .after(.seconds(5)))
      let counters = run.counters
      service.log(
        "\(key) finished: \(counters.rounds) rounds, \(counters.bytesSent) bytes sent, "
          + "\(counters.bytesReceived) bytes received")
    } else {
      let refusal = Refusal(reason: end.reason, hint: "the session is burned; ask for a new one")
      try? client.connection.send(.refusal, refusal.payload, deadline: .after(.seconds(5)))
      service.log("\(key) burned: \(end.reason)")
    }
    runInBackground { client.connection.closeGently() }
  }
}
