// Chooses and claims a session together with the other party.

import Bytes
import Randomness

/// The thread that serves sessions, at either party.
struct SessionServer {
  let service: PartyService
  let provider: any SessionProvider
  let ledger: SessionLedger
  /// Sessions that cannot be used, found out since the start.
  private var unusable: [SessionKey: InputError] = [:]
  /// Party 1: the opened session between agreement and run.
  private var opened: (any SessionEngine)?

  init(service: PartyService, provider: any SessionProvider, ledger: SessionLedger) {
    self.service = service
    self.provider = provider
    self.ledger = ledger
  }

  // MARK: Party 0

  /// Party 0: finds a session for `client` and runs it, or tells the client why there is none.
  mutating func serve(_ client: WaitingClient, peer: Connection) {
    client.stopWaiting()
    // Nobody is there to use the session: it stays for the next client.
    if client.connection.isClosedByPeer { return }
    do throws(InputError) {
      let (session, engine) = try chooseSession(for: client, peer: peer)
      do throws(InputError) {
        try ledger.claim(session.key)
      } catch {
        SessionRun.tellPeer(
          peer, SessionEnd(isFinished: false, reason: "party 0 cannot claim the session"))
        throw error
      }
      run(client, session.key, engine, peer: peer)
    } catch {
      service.log("refused \(client.connection.label): \(error)")
      try? client.connection.send(
        .refusal, Refusal(error, from: "party 0").payload, deadline: .after(.seconds(5)))
    }
  }

  /// The lowest session that fits, that neither party has used, and that both can open.
  private mutating func chooseSession(
    for client: WaitingClient, peer: Connection
  ) throws(InputError) -> (SessionDescription, any SessionEngine) {
    var problem: InputError?
    for session in try candidates(for: client.begin) {
      let engine: any SessionEngine
      do throws(InputError) {
        engine = try provider.openSession(session)
      } catch {
        service.log("error: \(error)")
        unusable[session.key] = error
        problem = error
        continue
      }
      if let refusal = try propose(session.key, for: client.begin, to: peer) {
        let error = refusal.error(source: peer.label)
        guard refusal.mayRetry else { throw error }
        service.log("\(peer.label) cannot use \(session.key): \(refusal.reason)")
        unusable[session.key] = error
        problem = error
        continue
      }
      return (session, engine)
    }
    throw problem ?? InputError("party 0", "no unused session is left")
  }

  /// Party 1's refusal of a session, or nil when it has claimed it.
  ///
  /// What is thrown is a fault of the connection, which is then closed: an answer that comes too
  /// late must not be taken for one to a later proposal.
  private func propose(
    _ key: SessionKey, for begin: BeginMessage, to peer: Connection
  ) throws(InputError) -> Refusal? {
    do throws(InputError) {
      let proposal = ProposalMessage(begin: begin, key: key)
      try peer.send(.proposal, proposal.payload, deadline: .after(.seconds(10)))
      let answer = try peer.receive(deadline: .after(service.configuration.openTimeout))
      if answer.type == .refusal { return try Refusal(answer, source: peer.label) }
      guard try SessionKey(answer, type: .acceptance, source: peer.label) == key else {
        throw InputError(peer.label, "accepted another session than was proposed")
      }
      return nil
    } catch {
      peer.close()
      throw error
    }
  }

  /// Unused sessions with enough capacity, lowest first; throws the reason when there are none.
  private func candidates(for begin: BeginMessage) throws(InputError) -> [SessionDescription] {
    let all = try provider.availableSessions().sorted { $0.key < $1.key }
    let hint = "deal more with lodge-deal"
    if all.isEmpty { throw InputError("party 0", "there are no sessions", hint: hint) }
    try SessionServer.checkCapacity(of: all, for: begin)
    let free = Set(try ledger.unclaimed(among: all.map(\.key)))
    let unused = all.filter { free.contains($0.key) }
    if unused.isEmpty {
      throw InputError(
        "party 0", "no unused session is left: all \(all.count) are used", hint: hint)
    }
    try SessionServer.checkCapacity(of: unused, for: begin)
    let fitting = unused.filter { SessionServer.fits(begin, $0) }
    let usable = fitting.filter { unusable[$0.key] == nil }
    if usable.isEmpty {
      let reason = fitting.first.flatMap { unusable[$0.key]?.description } ?? ""
      throw InputError("party 0", "no usable session is left: \(reason)", hint: hint)
    }
    return usable
  }

  private static func fits(_ begin: BeginMessage, _ session: SessionDescription) -> Bool {
    begin.promptCount <= session.promptCapacity && begin.newCount <= session.newCapacity
  }

  /// Throws when none of `sessions` is long enough, and names the longest.
  private static func checkCapacity(
    of sessions: [SessionDescription], for begin: BeginMessage
  ) throws(InputError) {
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
    throw InputError(
      "party 0", cause, hint: "deal longer sessions with lodge-deal --prompt N --new N")
  }

  // MARK: Party 1

  /// Party 1: checks, opens and claims the proposed session; nil when it refused.
  mutating func agree(
    to proposal: ProposalMessage, peer: Connection
  ) throws(InputError) -> WaitingClient? {
    guard let client = awaitClient(of: proposal.begin) else {
      let refusal = Refusal(reason: "the client did not reach party 1")
      try peer.send(.refusal, refusal.payload, deadline: .after(.seconds(10)))
      return nil
    }
    guard client.begin == proposal.begin else {
      let refusal = Refusal(reason: "the client asked both parties for different things")
      try peer.send(.refusal, refusal.payload, deadline: .after(.seconds(10)))
      return nil
    }
    do throws(InputError) {
      opened = try openSession(proposal)
      try ledger.claim(proposal.key)
    } catch {
      opened = nil
      service.log("error: \(error)")
      let refusal = Refusal(error, from: "party 1", mayRetry: true)
      try peer.send(.refusal, refusal.payload, deadline: .after(.seconds(10)))
      return nil
    }
    client.stopWaiting()
    _ = service.inbox.remove(client)
    do throws(InputError) {
      try peer.send(.acceptance, proposal.key.payload, deadline: .after(.seconds(10)))
    } catch {
      try ledger.end(proposal.key, as: .burned)
      throw error
    }
    return client
  }

  /// The client that party 0 already has; it may take a moment to arrive here.
  private func awaitClient(of begin: BeginMessage) -> WaitingClient? {
    let limit = Deadline.after(.seconds(10))
    while !service.inbox.isStopped, !limit.hasPassed {
      if let client = service.inbox.client(request: begin.request) {
        return client.connection.isClosedByPeer ? nil : client
      }
      service.inbox.wait(milliseconds: 50)
    }
    return nil
  }

  private func openSession(
    _ proposal: ProposalMessage
  ) throws(InputError) -> any SessionEngine {
    let all = try provider.availableSessions()
    guard let session = all.first(where: { $0.key == proposal.key }) else {
      throw InputError("party 1", "\(proposal.key) is not among the correlations here")
    }
    guard SessionServer.fits(proposal.begin, session) else {
      throw InputError("party 1", "\(proposal.key) is too short here")
    }
    if let state = try ledger.state(of: session.key) {
      throw InputError("party 1", "\(session.key) is already used (\(state.rawValue))")
    }
    return try provider.openSession(session)
  }

  /// Party 1: runs the session that it has agreed to.
  mutating func run(_ client: WaitingClient, _ key: SessionKey, peer: Connection) {
    guard let engine = opened else { return }
    opened = nil
    run(client, key, engine, peer: peer)
  }

  // MARK: Both

  private func run(
    _ client: WaitingClient, _ key: SessionKey, _ engine: any SessionEngine, peer: Connection
  ) {
    service.log("\(key) starts for \(client.connection.label)")
    var run = SessionRun(service: service, client: client, peer: peer, engine: engine)
    let end = run.run(key)
    do throws(InputError) {
      try ledger.end(key, as: end.isFinished ? .finished : .burned)
    } catch {
      service.log("error: \(error)")
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
  }
}
