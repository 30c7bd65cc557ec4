// Party 1: tells which clients have come, and claims what party 0 proposes.

import Bytes

extension SessionServer {
  /// Tells party 0 which clients wait here, where that is not what it was `told`.
  func tellClients(_ peer: Connection, _ told: inout [SeenClient]?) throws(InputError) {
    let clients = service.inbox.clients.map(SeenClient.init)
    if clients == told { return }
    try peer.send(
      .clients, ClientsMessage(clients: clients).payload, deadline: .after(.seconds(10)))
    told = clients
  }

  /// Answers a proposal that came on the lane `peer`, and runs the session where it is accepted.
  func serve(_ proposal: ProposalMessage, peer: Connection) throws(InputError) {
    guard let (client, session, engine) = try agree(to: proposal, peer: peer) else { return }
    defer {
      memory.giveBack(session.memoryByteCount)
      service.inbox.endSession(of: client)
    }
    // A stop is told to this client before its connection goes.
    service.inbox.forget(client.connection)
    run(client, session.key, engine, peer: peer)
  }

  /// Checks, opens and claims the proposed session; nil when that is declined.
  private func agree(
    to proposal: ProposalMessage, peer: Connection
  ) throws(InputError) -> (WaitingClient, SessionDescription, any SessionEngine)? {
    let accepted: (client: WaitingClient, session: SessionDescription, engine: any SessionEngine)
    do throws(SessionFault) {
      accepted = try accept(proposal)
    } catch {
      switch error.kind {
      case .machine: report(error.error)
      case .client: break
      case .used, .damaged, .unavailable: service.log("error: \(error.error)")
      }
      try peer.send(
        .decline, DeclineMessage(error, from: "party 1").payload, deadline: .after(.seconds(10)))
      return nil
    }
    reportClaim()
    do throws(InputError) {
      try peer.send(.acceptance, proposal.key.payload, deadline: .after(.seconds(10)))
    } catch {
      memory.giveBack(accepted.session.memoryByteCount)
      service.inbox.endSession(of: accepted.client)
      accepted.client.refuse(Refusal(error, from: "party 1", mayRetry: true))
      try ledger.end(proposal.key, as: .burned)
      throw error
    }
    return accepted
  }

  /// The client, out of the queue, and the session, claimed and with its memory.
  private func accept(_ proposal: ProposalMessage) throws(SessionFault)
    -> (client: WaitingClient, session: SessionDescription, engine: any SessionEngine)
  {
    let client = try find(proposal.client)
    let session = try findSession(proposal)
    try awaitMemory(for: session, of: client)
    do throws(SessionFault) {
      let engine = try provider.openSession(session)
      try ledger.claim(session.key)
      guard service.inbox.beginSession(of: client) else {
        do throws(InputError) { try ledger.end(session.key, as: .burned) } catch { report(error) }
        throw SessionFault(.client, InputError("party 1", "the client has left party 1"))
      }
      return (client, session, engine)
    } catch {
      memory.giveBack(session.memoryByteCount)
      throw error
    }
  }

  private func find(_ seen: SeenClient) throws(SessionFault) -> WaitingClient {
    let found = service.inbox.clients.first { $0.name == seen.name }
    guard let found, !found.connection.isClosedByPeer else {
      throw SessionFault(.client, InputError("party 1", "the client has left party 1"))
    }
    guard found.begin == seen.begin else {
      throw SessionFault(
        .client, InputError("party 1", "the client asked both parties for different things"))
    }
    return found
  }

  private func findSession(
    _ proposal: ProposalMessage
  ) throws(SessionFault) -> SessionDescription {
    let isUsed: Bool
    let session: SessionDescription?
    do throws(InputError) {
      isUsed = try ledger.unclaimed(among: [proposal.key]).isEmpty
      session = try provider.availableSessions().first { $0.key == proposal.key }
    } catch {
      throw SessionFault(.machine, error)
    }
    if isUsed {
      throw SessionFault(.used, InputError("party 1", "\(proposal.key) is already used"))
    }
    guard let session else {
      throw SessionFault(
        .unavailable, InputError("party 1", "\(proposal.key) is not among the correlations here"))
    }
    guard SessionServer.fits(proposal.client.begin, session) else {
      throw SessionFault(.damaged, InputError("party 1", "\(proposal.key) is too short here"))
    }
    return session
  }
}
