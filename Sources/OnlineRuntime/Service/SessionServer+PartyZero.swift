// Party 0: chooses the client and the session, claims it first, and proposes it.

import Bytes
import Program

extension SessionServer {
  /// Sessions that are tried for one client before it is refused: others wait meanwhile.
  private static let triesForClient = 8

  /// The next client that both parties have seen; it leaves the queue.
  func nextClient() -> WaitingClient? {
    let names = Set(seenByPeer.map(\.name))
    return service.inbox.take { names.contains($0.name) }
  }

  /// Refuses the clients that have not come to party 1 in time.
  func refuseStragglers() {
    let names = Set(seenByPeer.map(\.name))
    for client in service.inbox.clients where !names.contains(client.name) {
      let start = max(client.arrival, freeSince)
      guard ContinuousClock.now - start > service.configuration.meetingTimeout,
        service.inbox.remove(client)
      else { continue }
      service.strangers.log("refused \(client.connection.label): it did not reach party 1")
      client.refuse(Refusal(reason: "the client did not reach party 1", mayRetry: true))
    }
  }

  /// Reads which clients wait at party 1.
  mutating func readClients(of peer: Connection) throws(InputError) {
    let frame = try peer.receive(.control(.clients), deadline: .after(.seconds(10)))
    seenByPeer = try ClientsMessage(frame, source: peer.label).clients
  }

  /// Finds a session for `client` and runs it, or tells the client why there is none.
  mutating func serve(_ client: WaitingClient, peer: Connection) {
    // Nobody is there to use the session: it stays for the next client.
    if client.connection.isClosedByPeer {
      client.connection.close()
      return
    }
    do throws(SessionFault) {
      let (key, engine) = try chooseSession(for: client, peer: peer)
      reportClaim()
      run(client, key, engine, peer: peer)
    } catch {
      var refusal = Refusal(error.error, from: "party 0")
      if error.kind == .machine {
        report(error.error)
        refusal.hint = "nothing was spent by it; ask again when that is mended"
        refusal.mayRetry = true
      } else {
        service.strangers.log("refused \(client.connection.label): \(error.error)")
      }
      client.refuse(refusal)
    }
  }

  /// The lowest session that fits, that neither party has used, and that both have claimed now.
  private mutating func chooseSession(
    for client: WaitingClient, peer: Connection
  ) throws(SessionFault) -> (SessionKey, any SessionEngine) {
    var problem: SessionFault?
    for session in try candidates(for: client).prefix(SessionServer.triesForClient) {
      do throws(SessionFault) {
        let engine = try provider.openSession(session)
        try claim(session.key, for: client, with: peer)
        setAside[session.key] = nil
        return (session.key, engine)
      } catch {
        switch error.kind {
        case .machine, .client: throw error
        case .used, .damaged, .unavailable:
          if setAside.updateValue(error, forKey: session.key)?.kind != error.kind {
            service.log("error: \(error.error)")
          }
          problem = error
        }
      }
    }
    throw problem ?? SessionFault(.client, InputError("party 0", "no unused session is left"))
  }

  /// Claims `key` here and then at party 1; where that one declines, the claim is taken back.
  private mutating func claim(
    _ key: SessionKey, for client: WaitingClient, with peer: Connection
  ) throws(SessionFault) {
    try ledger.claim(key)
    let decline: DeclineMessage?
    do throws(InputError) {
      decline = try propose(ProposalMessage(client: SeenClient(client), key: key), to: peer)
    } catch {
      // Party 1 may have claimed it. An answer that comes late must not be taken for one to a later
      // proposal.
      peer.close()
      noteEnd { (ledger) throws(InputError) in try ledger.end(key, as: .burned) }
      throw SessionFault(.client, error)
    }
    guard let decline else { return }
    let fault = decline.fault(source: peer.label)
    noteEnd { (ledger) throws(InputError) in
      if fault.kind == .used {
        try ledger.end(key, as: .burned)
      } else {
        try ledger.withdraw(key)
      }
    }
    throw fault
  }

  private mutating func noteEnd(_ body: (inout PatientLedger) throws(InputError) -> Void) {
    do throws(InputError) { try body(&ledger) } catch { report(error) }
  }

  /// Party 1's reason to decline, or nil when it has claimed the session.
  private mutating func propose(
    _ proposal: ProposalMessage, to peer: Connection
  ) throws(InputError) -> DeclineMessage? {
    try peer.send(.proposal, proposal.payload, deadline: .after(.seconds(10)))
    let limit = Deadline.after(service.configuration.openTimeout)
    while true {
      let answer = try peer.receive(
        .control(.acceptance, .decline, .clients), deadline: limit)
      switch answer.type {
      case .clients: seenByPeer = try ClientsMessage(answer, source: peer.label).clients
      case .decline: return try DeclineMessage(answer, source: peer.label)
      default:
        let key = try SessionKey(answer, type: .acceptance, source: peer.label)
        guard key == proposal.key else {
          throw InputError(peer.label, "accepted another session than was proposed")
        }
        return nil
      }
    }
  }

  /// Unused sessions with enough capacity, lowest first, and at the end those that could not be read
  /// before; throws the reason when there are none.
  private func candidates(for client: WaitingClient) throws(SessionFault) -> [SessionDescription] {
    let begin = client.begin
    let all: [SessionDescription]
    let free: Set<SessionKey>
    do throws(InputError) {
      all = try provider.availableSessions()
        .filter { $0.user == nil || $0.user == client.name.key }.sorted { $0.key < $1.key }
      free = Set(try ledger.unclaimed(among: all.map(\.key)))
    } catch {
      throw SessionFault(.machine, error)
    }
    func refuse(_ cause: String) -> SessionFault {
      SessionFault(.client, InputError("party 0", cause, hint: "deal more with lodge-deal"))
    }
    if all.isEmpty {
      throw refuse(
        provider.identity.deployment == .providerUser
          ? "there are no sessions for this user" : "there are no sessions")
    }
    try SessionServer.checkCapacity(of: all, for: begin)
    let unused = all.filter { free.contains($0.key) }
    if unused.isEmpty { throw refuse("no unused session is left: all \(all.count) are used") }
    try SessionServer.checkCapacity(of: unused, for: begin)
    let fitting = unused.filter { SessionServer.fits(begin, $0) }
    let usable =
      fitting.filter { setAside[$0.key] == nil }
      + fitting.filter { setAside[$0.key]?.kind == .unavailable }
    if usable.isEmpty {
      let reason = fitting.first.flatMap { setAside[$0.key]?.error.description } ?? ""
      throw refuse("no usable session is left: \(reason)")
    }
    return usable
  }

  /// Throws when none of `sessions` is long enough, and names the longest.
  private static func checkCapacity(
    of sessions: [SessionDescription], for begin: BeginMessage
  ) throws(SessionFault) {
    if sessions.contains(where: { fits(begin, $0) }) { return }
    let prompt = sessions.map(\.promptCapacity).max() ?? 0
    let new = sessions.map(\.newCapacity).max() ?? 0
    let cause =
      if begin.promptCount > prompt {
        "the prompt has \(begin.promptCount) tokens, sessions allow \(prompt)"
      } else if begin.newCount > new {
        "\(begin.newCount) new tokens were asked for, sessions allow \(new)"
      } else {
        "no session allows both \(begin.promptCount) prompt and \(begin.newCount) new tokens"
      }
    throw SessionFault(
      .client,
      InputError("party 0", cause, hint: "deal longer sessions with lodge-deal --prompt N --new N"))
  }
}
