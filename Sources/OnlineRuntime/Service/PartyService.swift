// One server of the two: accepts connections, keeps the link to the other party, serves sessions.

public import Bytes
import CProcess
import Program

/// Serves sessions to clients, one at a time, together with the other party.
///
///     let service = try PartyService(identity: provider.identity, configuration: configuration) {
///       console.report($0)
///     }
///     try service.run(provider: provider, ledger: ledger)  // until stop()
public final class PartyService: Sendable {
  public let identity: PartyIdentity
  public let configuration: PartyConfiguration
  let listener: Listener
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
    inbox = try Inbox()
    listener = try Listener(configuration.listen, security: configuration.security.accepted)
  }

  /// The address that clients connect to, with the port that the system chose.
  public var address: Address { listener.address }

  /// Ends `run`; a session in progress is burned. Safe from any thread.
  public func stop() {
    inbox.stop()
    listener.close()
  }

  /// From now on this process keeps what it frees to use it again, as a party does: the arrays of
  /// an operation are then not mapped, zeroed and unmapped each time.
  public static func keepFreedMemory() { lodge_keep_freed_memory() }

  func log(_ event: String) { logLine(PlainText.line(event)) }

  /// Serves until `stop` is called.
  ///
  /// - Throws: `InputError` when the other party does not come within `peerTimeout` of the start,
  ///   or turns out to be the wrong one. Later losses are waited out.
  public func run(provider: any SessionProvider, ledger: SessionLedger) throws(InputError) {
    precondition(provider.identity == identity, "the provider belongs to another party")
    log("party \(identity.party) listens on \(address)")
    runInBackground { [self] in
      var reception = Reception(self)
      reception.run()
    }
    defer { stop() }
    PartyService.keepFreedMemory()
    var server = SessionServer(service: self, provider: provider, ledger: ledger)
    if identity.deployment == .providerUser {
      serveUsers(&server)
      log("stopped")
      return
    }
    guard let address = configuration.peer else {
      throw InputError("--peer", "is missing: the address of the other party")
    }
    var hasMet = false
    var lastFault = ""
    while !inbox.isStopped {
      inbox.status = "waiting for party \(1 - identity.party) at \(address)"
      guard let peer = try meetPeer(at: address, isFirst: !hasMet) else { break }
      hasMet = true
      peer.progressTimeout = configuration.progressTimeout
      inbox.register(peer)
      log("connected to \(peer.label)")
      do throws(InputError) {
        try server.reconcile(with: peer)
        lastFault = ""
        inbox.status = "about to be served"
        if identity.party == 0 {
          try proposeSessions(to: peer, &server)
        } else {
          try awaitProposals(of: peer, &server)
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
    log("stopped")
  }

  /// Party 0: serves the clients that both parties have seen, in their order, until the peer is lost.
  private func proposeSessions(
    to peer: Connection, _ server: inout SessionServer
  ) throws(InputError) {
    server.seenByPeer = []
    server.freeSince = .now
    while !inbox.isStopped, !peer.isBroken, !peer.isClosedByPeer {
      if Connection.wait([(peer, Readiness.readable)], milliseconds: 0)[0] != 0 {
        try server.readClients(of: peer)
      } else if let client = server.nextClient() {
        serve(client) { server.serve(client, peer: peer) }
        server.freeSince = .now
      } else {
        server.refuseStragglers()
        inbox.wait(milliseconds: 200, peer: peer)
      }
    }
  }

  /// Party 1: serves what party 0 proposes until it is lost.
  private func awaitProposals(
    of peer: Connection, _ server: inout SessionServer
  ) throws(InputError) {
    server.told = nil
    // A party 0 that was stopped says no more: that it is lost is logged, but is no error.
    while !inbox.isStopped, !peer.isBroken, !peer.isClosedByPeer {
      try server.tellClients(peer)
      if Connection.wait([(peer, Readiness.readable)], milliseconds: 0)[0] == 0 {
        inbox.wait(milliseconds: 200, peer: peer)
        continue
      }
      let frame = try peer.receive(.control(.proposal), deadline: .after(.seconds(10)))
      let proposal = try ProposalMessage(frame, source: peer.label)
      if let (client, engine) = try server.agree(to: proposal, peer: peer) {
        serve(client) { server.run(client, proposal.key, engine, peer: peer) }
      }
    }
  }

  func serve(_ client: WaitingClient, _ body: () -> Void) {
    inbox.status = "busy with another client"
    client.stopWaiting()
    // A stop is told to this client before its connection goes.
    inbox.forget(client.connection)
    body()
    inbox.status = "about to be served"
  }
}
