// One server of the two: accepts connections, keeps the link to the other party, serves sessions.

public import Bytes
import CProcess
import Program

/// Serves sessions to clients, several at once, together with the other party.
///
///     let service = try PartyService(identity: provider.identity, configuration: configuration) {
///       console.report($0)
///     }
///     try service.run(provider: provider, ledger: ledger)  // until stop()
public final class PartyService: Sendable {
  public let identity: PartyIdentity
  public let configuration: PartyConfiguration
  let listener: Listener
  let metrics = PartyMetrics()
  private let metricsServer: MetricsServer?
  let inbox: Inbox
  /// Where whoever has no place here yet is spoken of.
  let strangers: StrangerLog
  private let logLine: @Sendable (String) -> Void

  /// Binds the listening port.
  ///
  /// - Parameter log: Receives one line per event; no line holds a secret.
  /// - Throws: `InputError` when the port cannot be bound.
  public init(
    identity: PartyIdentity, configuration: PartyConfiguration,
    log: @escaping @Sendable (String) -> Void
  ) throws(InputError) {
    self.identity = identity
    self.configuration = configuration
    self.logLine = log
    strangers = StrangerLog { log(PlainText.line($0)) }
    inbox = try Inbox(sessionCapacity: configuration.concurrency)
    listener = try Listener(configuration.listen, security: configuration.security.accepted)
    metricsServer = try configuration.metrics.map { address throws(InputError) in
      try MetricsServer(address)
    }
  }

  /// The address that clients connect to, with the port that the system chose.
  public var address: Address { listener.address }

  /// The address at which metrics are told, with the port that the system chose.
  public var metricsAddress: Address? { metricsServer?.address }

  /// Ends `run`; sessions in progress are burned. Safe from any thread.
  public func stop() {
    inbox.stop()
    listener.close()
    metricsServer?.stop()
  }

  /// Lets the steps that run come to their end, tells all clients, and ends `run`; at once where it is
  /// asked a second time. Safe from any thread.
  public func finish() {
    guard let waiting = inbox.finish() else { return stop() }
    log("stops when the steps that run are done")
    runInBackground { [self] in
      for client in waiting {
        client.stopWaiting()
        let refusal = Refusal(reason: stopReason, mayRetry: true)
        try? client.connection.send(
          .refusal, refusal.payload, deadline: .after(.milliseconds(200)))
      }
      inbox.awaitSessions(.after(configuration.finishTimeout))
      stop()
    }
  }

  /// What clients of a party that is about to end are told.
  var stopReason: String { "party \(identity.party) is being stopped" }

  /// From now on this process keeps what it frees to use it again, as a party does: the arrays of
  /// an operation are then not mapped, zeroed and unmapped each time.
  public static func keepFreedMemory() { lodge_keep_freed_memory() }

  func log(_ event: String) { logLine(PlainText.line(event)) }

  /// Serves until `stop` or `finish` is called.
  ///
  /// - Throws: `InputError` when the other party does not come within `peerTimeout` of the start,
  ///   or turns out to be the wrong one. Later losses are waited out.
  public func run(
    provider: any SessionProvider, ledger: sending SessionLedger
  ) throws(InputError) {
    precondition(provider.identity == identity, "the provider belongs to another party")
    log("party \(identity.party) listens on \(address)")
    runInBackground { [self] in
      var reception = Reception(self)
      reception.run()
    }
    let server = SessionServer(service: self, provider: provider, ledger: ledger)
    server.reportStock()
    if let metricsServer {
      log("tells metrics at http://\(metricsServer.address)/metrics")
      runInBackground { metricsServer.run(server.answer) }
    }
    defer {
      stop()
      // They are burned, and noted so, before the ledger is let go.
      inbox.awaitSessions(.after(configuration.progressTimeout))
      server.ledger.close()
    }
    PartyService.keepFreedMemory()
    if identity.deployment == .providerUser {
      serveUsers(server)
    } else {
      guard let address = configuration.peer else {
        throw InputError("--peer", "is missing: the address of the other party")
      }
      try serveClients(server, peerAddress: address)
    }
    log("stopped")
  }

  /// Finds the other party, as often as it is lost, and serves clients together with it.
  private func serveClients(
    _ server: SessionServer, peerAddress address: Address
  ) throws(InputError) {
    var hasMet = false
    var lastFault = ""
    while !inbox.isStopped {
      inbox.absence = "waiting for party \(1 - identity.party) at \(address)"
      guard let peer = try meetPeer(at: address, isFirst: !hasMet) else { break }
      hasMet = true
      peer.progressTimeout = configuration.progressTimeout
      inbox.register(peer)
      log("connected to \(peer.label)")
      do throws(InputError) {
        try server.reconcile(with: peer)
        lastFault = ""
        if identity.party == 0 {
          try proposeSessions(to: peer, server)
        } else {
          try awaitProposals(of: peer, at: address, server)
        }
      } catch {
        if !inbox.isStopped, error.cause != lastFault { log("error: \(error)") }
        lastFault = error.cause
        // What failed would fail again at once.
        inbox.wait(milliseconds: 1000)
      }
      if !inbox.isStopped { log("lost \(peer.label)") }
      inbox.dropPeer(peer)
    }
  }

  /// Party 0: serves the clients that both parties have seen until the peer is lost, each on a lane.
  private func proposeSessions(to peer: Connection, _ server: SessionServer) throws(InputError) {
    let meeting = Meeting(capacity: configuration.concurrency) { [inbox] in inbox.forget($0) }
    server.beginMeeting()
    inbox.meeting = meeting
    defer {
      inbox.meeting = nil
      meeting.end()
    }
    try peer.send(
      .lanes, LanesMessage(meeting: meeting.identifier, count: meeting.capacity).payload,
      deadline: .after(.seconds(10)))
    inbox.absence = nil
    while !inbox.isStopped, !peer.isBroken, !peer.isClosedByPeer {
      if Connection.wait([(peer, Readiness.readable)], milliseconds: 0)[0] != 0 {
        try server.readClients(of: peer)
        continue
      }
      let names = Set(server.seenByPeer.map(\.name))
      guard meeting.hasIdleLane, let client = inbox.takeNext(where: { names.contains($0.name) })
      else {
        server.refuseStragglers()
        inbox.wait(milliseconds: 200, peer: peer)
        continue
      }
      let lane = meeting.takeIdleLane()
      serve(client) {
        // It was there a moment ago.
        guard let lane else {
          return client.refuse(Refusal(reason: "party 1 has gone", mayRetry: true))
        }
        server.serve(client, peer: lane)
        meeting.giveBack(lane)
      }
    }
  }

  /// Party 1: serves what party 0 proposes, on as many lanes as both allow, until it is lost.
  private func awaitProposals(
    of peer: Connection, at address: Address, _ server: SessionServer
  ) throws(InputError) {
    let lanes = try LanesMessage(
      peer.receive(.control(.lanes), deadline: .after(.seconds(10))), source: peer.label)
    let count = min(lanes.count, configuration.concurrency)
    let meeting = Meeting(identifier: lanes.meeting, capacity: count) { _ in }
    defer { meeting.end() }
    for _ in 0..<count {
      runInBackground { [self] in serveLanes(of: meeting, at: address, server) }
    }
    inbox.absence = nil
    var told: [SeenClient]?
    // A party 0 that was stopped says no more: that it is lost is logged, but is no error.
    while !inbox.isStopped, !peer.isBroken, !peer.isClosedByPeer {
      try server.tellClients(peer, &told)
      if Connection.wait([(peer, Readiness.readable)], milliseconds: 0)[0] != 0 {
        let frame = try peer.receive(.control(.lanes), deadline: .after(.seconds(10)))
        throw InputError(peer.label, "sent a second \(frame.type) frame")
      }
      inbox.wait(milliseconds: 200, peer: peer)
    }
  }

  /// Serves a client that `Inbox.takeNext` gave, on a thread of its own.
  func serve(_ client: WaitingClient, _ body: @escaping @Sendable () -> Void) {
    // A stop is told to this client before its connection goes.
    inbox.forget(client.connection)
    runInBackground { [inbox] in
      body()
      inbox.endSession(of: client)
    }
  }
}
