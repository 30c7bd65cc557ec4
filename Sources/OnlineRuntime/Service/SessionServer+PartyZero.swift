// Party 0: chooses the client and the session, claims it first, and proposes it.

import Bytes
import Program

extension SessionServer {
  /// Sessions that are tried for one client before it is refused: others wait meanwhile.
  private static let triesForClient = 8

  /// Refuses the clients that have not come to party 1 in time.
  func refuseStragglers() {
    let names = Set(seenByPeer.map(\.name))
    for client in service.inbox.clients where !names.contains(client.name) {
      let start = max(client.arrival, hasMetSince)
      guard ContinuousClock.now - start > service.configuration.meetingTimeout,
        service.inbox.remove(client)
      else { continue }
      service.strangers.log("refused \(client.connection.label): it did not reach party 1")
      client.refuse(Refusal(reason: "the client did not reach party 1", mayRetry: true))
    }
  }

  /// Reads which clients wait at party 1.
  func readClients(of peer: Connection) throws(InputError) {
    let frame = try peer.receive(.control(.clients), deadline: .after(.seconds(10)))
    seenByPeer = try ClientsMessage(frame, source: peer.label).clients
  }

  /// Finds a session for `client` and runs it on the lane `peer`, or tells the client why there is
  /// none.
  func serve(_ client: WaitingClient, peer: Connection) {
    // Nobody is there to use the session: it stays for the next client.
    if client.connection.isClosedByPeer {
      client.connection.close()
      return
    }
    do throws(SessionFault) {
      let (session, engine) = try chooseSession(for: client, peer: peer)
      reportClaim()
      run(client, session.key, engine, peer: peer)
      memory.giveBack(session.memoryByteCount)
    } catch {
      var refusal = Refusal(error.error, from: "party 0")
      if error.kind == .machine {
        report(error.error)
        refusal.hint = "nothing was spent by it; ask again when that is mended"
        refusal.mayRetry = true
      } else {
        service.strangers.log("refused \(client.connection.label): \(error.error)")
      }
      service.metrics.addRefusal()
      client.refuse(refusal)
    }
  }

  /// The smallest session that fits, that neither party has used, and that both have claimed now; it
  /// has its memory.
  private func chooseSession(
    for client: WaitingClient, peer: Connection
  ) throws(SessionFault) -> (SessionDescription, any SessionEngine) {
    var problem: SessionFault?
    var tries = 0
    while tries < SessionServer.triesForClient {
      var isOthers = false
      for session in try candidates(for: client) where tries < SessionServer.triesForClient {
        guard reserve(session.key) else {
          isOthers = true
          continue
        }
        defer { release(session.key) }
        // Another client may have claimed it since it was listed.
        if try isClaimed(session.key) { continue }
        tries += 1
        do throws(SessionFault) {
          let engine = try open(session, for: client, peer: peer)
          _ = setAside(session.key, nil)
          return (session, engine)
        } catch {
          switch error.kind {
          case .machine, .client: throw error
          case .used, .damaged, .unavailable:
            if setAside(session.key, error.kind) { service.log("error: \(error.error)") }
            problem = error
          }
        }
      }
      // What another client tries may yet be left.
      guard isOthers, problem == nil, !service.inbox.isStopped else { break }
      pauseShortly()
    }
    if let problem {
      guard problem.kind != .used, tries < SessionServer.triesForClient else { throw problem }
      let hint = "copy its file anew from what was dealt, or deal more with lodge-deal"
      throw SessionFault(
        problem.kind,
        InputError(
          "party 0", "no usable session is left: \(problem.error)",
          hint: problem.error.hint.isEmpty ? hint : problem.error.hint))
    }
    throw SessionFault(.client, InputError("party 0", "no unused session is left"))
  }

  private func isClaimed(_ key: SessionKey) throws(SessionFault) -> Bool {
    do throws(InputError) { return try ledger.unclaimed(among: [key]).isEmpty } catch {
      throw SessionFault(.machine, error)
    }
  }

  /// Opens `session` when it has memory, and has both parties claim it.
  private func open(
    _ session: SessionDescription, for client: WaitingClient, peer: Connection
  ) throws(SessionFault) -> any SessionEngine {
    try awaitMemory(for: session, of: client)
    do throws(SessionFault) {
      let engine = try provider.openSession(session)
      try claim(session.key, for: client, with: peer)
      return engine
    } catch {
      memory.giveBack(session.memoryByteCount)
      throw error
    }
  }

  /// Claims `key` here and then at party 1; where that one declines, the claim is taken back.
  private func claim(
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
      noteEnd { () throws(InputError) in try ledger.end(key, as: .burned) }
      throw SessionFault(.client, error)
    }
    guard let decline else { return }
    let fault = decline.fault(source: peer.label)
    noteEnd { () throws(InputError) in
      if fault.kind == .used {
        try ledger.end(key, as: .burned)
      } else {
        try ledger.withdraw(key)
      }
    }
    throw fault
  }

  private func noteEnd(_ body: () throws(InputError) -> Void) {
    do throws(InputError) { try body() } catch { report(error) }
  }

  /// Party 1's reason to decline, or nil when it has claimed the session.
  private func propose(
    _ proposal: ProposalMessage, to peer: Connection
  ) throws(InputError) -> DeclineMessage? {
    try peer.send(.proposal, proposal.payload, deadline: .after(.seconds(10)))
    let answer = try peer.receive(
      .control(.acceptance, .decline), deadline: .after(service.configuration.openTimeout))
    if answer.type == .decline { return try DeclineMessage(answer, source: peer.label) }
    let key = try SessionKey(answer, type: .acceptance, source: peer.label)
    guard key == proposal.key else {
      throw InputError(peer.label, "accepted another session than was proposed")
    }
    return nil
  }

  /// Unused sessions with enough capacity, smallest first, then lowest; at the end those that could not
  /// be used before, whose files may have been mended. Throws the reason when there are none.
  private func candidates(for client: WaitingClient) throws(SessionFault) -> [SessionDescription] {
    let begin = client.begin
    let all: [SessionDescription]
    let free: Set<SessionKey>
    do throws(InputError) {
      all = try provider.availableSessions()
        .filter { $0.user == nil || $0.user == client.name.key }
        .sorted { ($0.rowCount, $0.key) < ($1.rowCount, $1.key) }
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
    return fitting.filter { fault(of: $0.key) == nil }
      + fitting.filter { fault(of: $0.key) == .unavailable }
      + fitting.filter { fault(of: $0.key) == .damaged }
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
      InputError(
        "party 0", cause,
        hint: "whoever deals makes longer ones, in a folder of their own: lodge-deal DEALER-FOLDER "
          + "--prompt \(max(begin.promptCount, prompt))"
          + (max(begin.newCount, new) > 0 ? " --new \(max(begin.newCount, new))" : "")
          + " --out LONGER"))
  }
}
