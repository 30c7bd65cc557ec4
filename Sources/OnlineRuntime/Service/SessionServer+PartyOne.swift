// Party 1: tells which clients have come, and claims what party 0 proposes.

import Bytes

extension SessionServer {
  /// Tells party 0 which clients wait here, where that has changed.
  mutating func tellClients(_ peer: Connection) throws(InputError) {
    let clients = service.inbox.clients.map(SeenClient.init)
    if clients == told { return }
    try peer.send(
      .clients, ClientsMessage(clients: clients).payload, deadline: .after(.seconds(10)))
    told = clients
  }

  /// Checks, opens and claims the proposed session; nil when that is declined.
  mutating func agree(
    to proposal: ProposalMessage, peer: Connection
  ) throws(InputError) -> (WaitingClient, any SessionEngine)? {
    let client: WaitingClient
    let engine: any SessionEngine
    do throws(SessionFault) {
      client = try find(proposal.client)
      engine = try openSession(proposal)
      try ledger.claim(proposal.key)
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
    _ = service.inbox.remove(client)
    client.stopWaiting()
    do throws(InputError) {
      try peer.send(.acceptance, proposal.key.payload, deadline: .after(.seconds(10)))
    } catch {
      try ledger.end(proposal.key, as: .burned)
      throw error
    }
    return (client, engine)
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

  private func openSession(
    _ proposal: ProposalMessage
  ) throws(SessionFault) -> any SessionEngine {
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
    return try provider.openSession(session)
  }
}
