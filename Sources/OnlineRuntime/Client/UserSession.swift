// The user of a provider: client and party 1 in one process.

public import Bytes
public import Program

/// A session of a user with a provider, over one connection.
///
/// The input never leaves the user: its share is all of it, and the provider's is zero. Openings go
/// both ways; the provider sends its share of the output at the end of each step.
public final class UserSession: SecureSession {
  public let identity: PartyIdentity
  public let key: SessionKey
  public let shape: SessionShape
  public private(set) var counters: (party0: StepCounters, party1: StepCounters)
  public let aheadByteCount: Int
  public var strained: StrainedOperands { engine.strained }

  private let connection: Connection
  private var engine: any SessionEngine
  private let ledger: PatientLedger
  private var stepCount = 0
  private var lastRowCount = 0
  private var isOver = false

  private init(
    identity: PartyIdentity, key: SessionKey, shape: SessionShape, connection: Connection,
    engine: any SessionEngine, ledger: PatientLedger, aheadByteCount: Int
  ) {
    self.shape = shape
    self.aheadByteCount = aheadByteCount
    self.identity = identity
    self.key = key
    self.connection = connection
    self.engine = engine
    self.ledger = ledger
    counters = (StepCounters(), StepCounters())
  }

  deinit { burn("the user left") }

  /// Connects to the provider and agrees with it on a session, which both note as used.
  ///
  /// - Parameters:
  ///   - files: The user's bundle and sessions.
  ///   - ledger: What the user notes used sessions in, for all that it runs at once.
  ///   - promptCount: Rows of the first step at most.
  ///   - newCount: Tokens to generate; an encoder generates none whatever this says.
  ///   - security: The user's key, and the provider's.
  ///   - timeout: Longest wait for a turn while other users are served.
  ///   - silence: Longest time without a byte from the provider in the middle of a step.
  ///   - isOwnTurn: Whether sessions of this user run, so that the wait has no limit yet.
  ///   - waiting: Is told about once a second why there is no session yet.
  public static func begin(
    provider: Address, files: some SessionProvider, ledger: PatientLedger, promptCount: Int,
    newCount: Int, security: ClientSecurity = .plaintextOnLoopback,
    timeout: Duration = .seconds(120), silence: Duration = Connection.defaultProgressTimeout,
    waiting: (String) -> Void = { _ in },
    isOwnTurn: () -> Bool = { false }
  ) throws(InputError) -> UserSession {
    precondition(promptCount >= 1 && newCount >= 0, "a session has at least one prompt row")
    let identity = files.identity
    let limit = Deadline.after(timeout)
    let connection: Connection
    do throws(InputError) {
      connection = try Connection.dial(provider, security: security.dialled(party: 0))
    } catch {
      var error = error
      error.source = "provider at \(error.source)"
      throw error
    }
    connection.label = "provider at \(provider)"
    do throws(InputError) {
      try greet(connection, identity, .after(min(timeout, silence)))
      let begin = BeginMessage.random(
        promptCount: promptCount, newCount: identity.isDecoder ? newCount : 0)
      try connection.send(.begin, begin.payload, deadline: limit)
      var claim = Claim(begin: begin, files: files, ledger: ledger)
      do throws(InputError) {
        var (key, engine) = try claim.agree(connection, timeout, isOwnTurn, waiting)
        connection.progressTimeout = silence
        let before = connection.counters
        try engine.prepare(peer: connection)
        return UserSession(
          identity: identity, key: key, shape: begin.shape(identity.kind), connection: connection,
          engine: engine, ledger: claim.ledger,
          aheadByteCount: connection.counters.since(before).bytesReceived)
      } catch {
        claim.giveUp()
        throw error
      }
    } catch {
      connection.close()
      throw error
    }
  }

  private static func greet(
    _ connection: Connection, _ identity: PartyIdentity, _ limit: Deadline
  ) throws(InputError) {
    guard case .party(let other) = try Hello.party(identity).answer(of: connection, limit) else {
      throw InputError(connection.label, "is a client, not a provider")
    }
    try identity.check(peer: other, source: connection.label)
  }

  public func step(rows: [UInt64], _ request: StepRequest) throws(InputError) -> [UInt64] {
    precondition(
      rows.count == request.rowCount * identity.inputWidth, "rows do not have the input width")
    do throws(InputError) {
      let message = StepMessage(step: stepCount, request, keptCount: lastRowCount, words: [])
      lastRowCount = request.rowCount
      try connection.send(.step, head: message.head, words: [])
      let before = connection.counters
      let share = try engine.step(
        inputShare: rows, message.request, through: connection)
      counters.party1.add(connection.counters.since(before))
      let limit = OutputMessage.headByteCount + 8 * request.rowCount * identity.outputWidth
      let output = try OutputMessage(
        connection.receive(.data(.output, atMost: limit, or: .refusal, .end)),
        source: connection.label)
      guard output.step == stepCount,
        output.words.count == identity.outputOpening.wordCount(elements: share.count)
      else {
        throw InputError(connection.label, "sent the output of another step or width")
      }
      counters.party0 = output.counters
      stepCount += 1
      return identity.output(
        of: share.count, output.words, identity.packedOutput(share))
    } catch {
      burn(error.cause)
      throw error
    }
  }

  public func loss() -> InputError? {
    // Between two steps a provider speaks only to say that there are no more.
    guard !isOver, connection.hasInput else { return nil }
    var cause = "ended the session"
    if let frame = try? connection.receive(
      .control(.end, .refusal), deadline: .after(.seconds(1))),
      frame.type == .end, let end = try? SessionEnd(frame, source: connection.label)
    {
      cause = end.reason
      // What has come is the provider's answer to what it is told now.
      connection.keepInterruption(frame)
    }
    burn(cause)
    return InputError(connection.label, cause)
  }

  public func end() throws(InputError) {
    do throws(InputError) {
      try connection.send(.end, SessionEnd(isFinished: true, reason: "").payload)
      let frame = try connection.receive(.control(.end, .refusal), deadline: .after(.seconds(30)))
      _ = try SessionEnd(frame, source: connection.label)
    } catch {
      burn(error.cause)
      throw error
    }
    isOver = true
    connection.close()
    try ledger.end(key, as: .finished)
  }

  /// Ends a session that did not come to its end.
  private func burn(_ reason: String) {
    if isOver { return }
    isOver = true
    SessionRun.tellPeer(connection, SessionEnd(isFinished: false, reason: reason))
    connection.close()
    // It is claimed, which says as much.
    try? ledger.end(key, as: .burned)
  }
}

/// A user's part in the choice of a session.
private struct Claim<Files: SessionProvider> {
  let begin: BeginMessage
  let files: Files
  let ledger: PatientLedger
  private var claimed: SessionKey?

  init(begin: BeginMessage, files: Files, ledger: PatientLedger) {
    self.begin = begin
    self.files = files
    self.ledger = ledger
  }

  /// Waits for the provider's turn and its proposals, until one is claimed by both.
  mutating func agree(
    _ connection: Connection, _ timeout: Duration, _ isOwnTurn: () -> Bool,
    _ waiting: (String) -> Void
  ) throws(InputError) -> (SessionKey, any SessionEngine) {
    var limit = Deadline.after(timeout)
    var engine: (any SessionEngine)?
    var reason = "no answer"
    while true {
      let frame: Frame
      do throws(InputError) {
        frame = try connection.receive(
          .control(.waiting, .used, .proposal, .ready, .refusal), deadline: limit)
      } catch {
        guard limit.hasPassed else { throw error }
        throw InputError(connection.label, "no session in time: \(reason)")
      }
      switch frame.type {
      case .waiting:
        reason = try WaitingNotice.reason(frame, source: connection.label)
        waiting(reason)
        if isOwnTurn() { limit = .after(timeout) }
      case .used:
        _ = try ledger.burn(UsedMessage.receive(from: connection, first: frame))
        try UsedMessage.tell(ledger.claimedSessions(), to: connection)
      case .proposal where claimed == nil:
        engine = try answer(
          ProposalMessage(frame, source: connection.label), connection)
      case .ready:
        let key = try SessionKey(frame, type: .ready, source: connection.label)
        guard let engine, key == claimed else {
          throw InputError(connection.label, "offers \(key), which was not agreed on")
        }
        return (key, engine)
      case .refusal:
        throw try Refusal(frame, source: connection.label).error(source: connection.label)
      default:
        throw InputError(connection.label, "proposed a second session")
      }
    }
  }

  /// Opens and claims what is proposed, and accepts it; nil when it was declined.
  private mutating func answer(
    _ proposal: ProposalMessage, _ connection: Connection
  ) throws(InputError) -> (any SessionEngine)? {
    guard proposal.client.begin == begin else {
      throw InputError(connection.label, "proposes a session for another request")
    }
    do throws(SessionFault) {
      let engine = try open(proposal.key)
      try ledger.claim(proposal.key)
      claimed = proposal.key
      do throws(InputError) {
        try connection.send(
          .acceptance, proposal.key.payload, deadline: .after(.seconds(10)))
      } catch {
        throw SessionFault(.machine, error)
      }
      return engine
    } catch {
      guard claimed == nil else { throw error.error }
      try connection.send(
        .decline, DeclineMessage(error, from: "the user").payload,
        deadline: .after(.seconds(10)))
      return nil
    }
  }

  private func open(_ key: SessionKey) throws(SessionFault) -> any SessionEngine {
    let session: SessionDescription?
    let isUsed: Bool
    do throws(InputError) {
      isUsed = try ledger.unclaimed(among: [key]).isEmpty
      session = try files.availableSessions().first { $0.key == key }
    } catch {
      throw SessionFault(.machine, error)
    }
    if isUsed { throw SessionFault(.used, InputError("the user", "\(key) is already used")) }
    guard let session else {
      throw SessionFault(
        .unavailable, InputError("the user", "\(key) is not among the correlations here"))
    }
    guard SessionServer.fits(begin, session) else {
      throw SessionFault(.damaged, InputError("the user", "\(key) is too short here"))
    }
    return try files.openSession(session)
  }

  /// Burns a session that was claimed and does not come about.
  mutating func giveUp() {
    if let claimed { try? ledger.end(claimed, as: .burned) }
  }
}
