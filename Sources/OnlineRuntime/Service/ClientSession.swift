// The client's side: one session with both parties.

public import Bytes
public import Program
import Randomness

/// A session that a client runs: it shares input rows and puts the output shares together.
///
///     let session = try ClientSession.begin(
///       party0: address0, party1: address1, promptCount: 12, newCount: 32)
///     let logits = try session.step(rows: words, rowCount: 12)
///     try session.end()
public final class ClientSession {
  /// What both parties say about themselves (party 0's is kept).
  public let identity: PartyIdentity
  /// The session that the parties chose.
  public let key: SessionKey
  public let shape: SessionShape
  /// What each party has counted on its connection to the other, after the last step.
  public private(set) var counters: (party0: StepCounters, party1: StepCounters)

  private let connections: [Connection]
  private let seed: Seed
  private let silence: Duration
  private var stepCount = 0
  private var lastRowCount = 0

  private init(
    identity: PartyIdentity, key: SessionKey, shape: SessionShape, connections: [Connection],
    seed: Seed, silence: Duration
  ) {
    self.silence = silence
    self.shape = shape
    self.identity = identity
    self.key = key
    self.connections = connections
    self.seed = seed
    counters = (StepCounters(), StepCounters())
  }

  deinit { for connection in connections { connection.close() } }

  /// Connects to both parties and waits for them to agree on a session.
  ///
  /// - Parameters:
  ///   - promptCount: Rows of the first step at most.
  ///   - newCount: Tokens to generate; an encoder generates none whatever this says.
  ///   - security: The keys to connect with.
  ///   - timeout: Longest wait for a turn while other clients are served.
  ///   - silence: Longest time without a byte from a party whose answer is awaited, which says every
  ///     few seconds that it computes.
  ///   - isOwnTurn: Whether sessions of this client run, so that the wait has no limit yet.
  ///   - admit: Is shown what the parties run before a session is asked for; what it throws ends
  ///     the attempt and costs no session.
  ///   - waiting: Is told about once a second why there is no session yet.
  /// - Throws: `InputError` naming the party that refuses or cannot be reached, with the reason.
  public static func begin(
    party0: Address, party1: Address, promptCount: Int, newCount: Int,
    security: ClientSecurity = .plaintextOnLoopback, timeout: Duration = .seconds(120),
    silence: Duration = .seconds(60),
    admit: (PartyIdentity) throws(InputError) -> Void = { _ in },
    waiting: (String) -> Void = { _ in }, isOwnTurn: () -> Bool = { false }
  ) throws(InputError) -> ClientSession {
    precondition(promptCount >= 1 && newCount >= 0, "a session has at least one prompt row")
    let limit = Deadline.after(timeout)
    let greeting = Deadline.after(min(timeout, silence))
    var connections: [Connection] = []
    var identities: [PartyIdentity] = []
    for (party, address) in [party0, party1].enumerated() {
      let connection: Connection
      do throws(InputError) {
        connection = try Connection.dial(address, security: security.dialled(party: party))
      } catch {
        var error = error
        error.source = "party \(party) at \(error.source)"
        throw error
      }
      connection.label = "party \(party) at \(address)"
      connections.append(connection)
      identities.append(try greet(connection, party: party, greeting))
    }
    try identities[0].check(clientSees: identities[1], source: connections[1].label)
    try admit(identities[0])
    let begin = BeginMessage.random(
      promptCount: promptCount, newCount: identities[0].isDecoder ? newCount : 0)
    let seed = Seed.random()
    for connection in connections { try connection.send(.begin, begin.payload, deadline: limit) }
    try connections[1].send(.seed, seed.bytes, deadline: limit)
    let keys = try awaitReady(connections, timeout, silence, isOwnTurn, waiting)
    guard keys[0] == keys[1] else {
      throw InputError(connections[1].label, "offers \(keys[1]), party 0 offers \(keys[0])")
    }
    for connection in connections { connection.progressTimeout = silence }
    return ClientSession(
      identity: identities[0], key: keys[0], shape: begin.shape(identities[0].kind),
      connections: connections, seed: seed, silence: silence)
  }

  private static func greet(
    _ connection: Connection, party: Int, _ limit: Deadline
  ) throws(InputError) -> PartyIdentity {
    guard case .party(let identity) = try Hello.client.answer(of: connection, limit) else {
      throw InputError(connection.label, "is a client, not a party")
    }
    guard identity.party == party else {
      throw InputError(
        connection.label, "this is party \(identity.party)",
        hint: "--party0 and --party1 may be exchanged")
    }
    return identity
  }

  /// Waits for `ready` of both, whichever speaks first; a refusal by one ends the wait.
  private static func awaitReady(
    _ connections: [Connection], _ timeout: Duration, _ silence: Duration, _ isOwnTurn: () -> Bool,
    _ waiting: (String) -> Void
  ) throws(InputError) -> [SessionKey] {
    var limit = Deadline.after(timeout)
    var keys: [SessionKey?] = [nil, nil]
    var heard = [ContinuousClock.now, .now]
    var reasons = ["no answer", "no answer"]
    while true {
      if let first = keys[0], let second = keys[1] { return [first, second] }
      let open = connections.indices.filter { keys[$0] == nil }
      let events = Connection.wait(
        open.map { (connections[$0], Readiness.readable) },
        milliseconds: limit.milliseconds(limit: 1000))
      for (party, event) in zip(open, events) where event != 0 {
        let connection = connections[party]
        let frame = try connection.receive(
          .control(.waiting, .ready, .refusal), deadline: limit)
        heard[party] = .now
        if frame.type == .waiting {
          reasons[party] = try WaitingNotice.reason(frame, source: connection.label)
          if party == 0 { waiting(reasons[0]) }
        } else {
          keys[party] = try SessionKey(frame, type: .ready, source: connection.label)
        }
      }
      // Who waits is told so about once a second.
      for party in open where ContinuousClock.now - heard[party] >= silence {
        throw InputError(connections[party].label, Connection.silent(for: silence))
      }
      if isOwnTurn() { limit = .after(timeout) }
      if limit.hasPassed {
        let late = open.first ?? 0
        throw InputError(connections[late].label, "no session in time: \(reasons[late])")
      }
    }
  }

  /// Runs one step and returns the reconstructed output words, row-major [rows, outputWidth].
  ///
  /// - Parameters:
  ///   - rows: Ring elements, row-major [rowCount, inputWidth].
  ///   - request: How many rows, which of the last step stay, and how many outputs.
  /// - Throws: `InputError` naming the party that failed, with the reason; the session is over.
  public func step(rows: [UInt64], _ request: StepRequest) throws(InputError) -> [UInt64] {
    let rowCount = request.rowCount
    precondition(rows.count == rowCount * identity.inputWidth, "rows do not have the input width")
    let share = InputShares.partyZeroShare(of: rows, seed: seed, step: stepCount)
    var message = StepMessage(step: stepCount, request, keptCount: lastRowCount, words: [])
    // Party 1 needs a few bytes only: it goes first and can begin.
    try send(message, party: 1)
    message.words = share
    try send(message, party: 0)
    lastRowCount = rowCount
    let (first, second) = try receiveOutputs(request)
    guard first.words.count == second.words.count,
      let count = identity.outputCount(words: first.words.count, request)
    else {
      throw InputError(
        connections[1].label,
        "sent \(second.words.count) output words, party 0 sent \(first.words.count)")
    }
    counters = (first.counters, second.counters)
    stepCount += 1
    return identity.output(of: count, first.words, second.words)
  }

  private func send(_ message: StepMessage, party: Int) throws(InputError) {
    let connection = connections[party]
    do throws(InputError) {
      try connection.send(.step, head: message.head, words: message.words)
    } catch {
      throw reasonForLeaving(connection) ?? error
    }
  }

  /// What a party said before it closed the connection, if that can still be read.
  private func reasonForLeaving(_ connection: Connection) -> InputError? {
    guard let frame = connection.lastWords(), frame.type == .refusal else { return nil }
    return try? Refusal(frame, source: connection.label).error(source: connection.label)
  }

  /// What both parties answer, whichever is first; one that fails ends the wait for the other.
  private func receiveOutputs(_ request: StepRequest) throws(InputError) -> (
    OutputMessage, OutputMessage
  ) {
    var outputs: [OutputMessage?] = [nil, nil]
    var heard = [ContinuousClock.now, .now]
    while true {
      if let first = outputs[0], let second = outputs[1] { return (first, second) }
      let open = outputs.indices.filter { outputs[$0] == nil }
      let events = Connection.wait(
        open.map { (connections[$0], Readiness.readable) }, milliseconds: 1000)
      for (party, event) in zip(open, events) {
        guard event == 0 else {
          do throws(InputError) {
            outputs[party] = try receiveOutput(party: party, request)
          } catch {
            if party == 1, outputs[0] == nil { try hearPartyZero(request) }
            throw error
          }
          heard[party] = .now
          continue
        }
        let pause = ContinuousClock.now - heard[party]
        let hasVanished =
          pause >= .seconds(Connection.unansweredSeconds) && connections[party].hasVanished
        if hasVanished || pause >= silence {
          throw InputError(
            connections[party].label,
            hasVanished ? Connection.vanished : Connection.silent(for: silence))
        }
      }
    }
  }

  /// Throws what party 0 says, if anything: where both end a session, its reason is told.
  private func hearPartyZero(_ request: StepRequest) throws(InputError) {
    guard Connection.wait([(connections[0], Readiness.readable)], milliseconds: 2000)[0] != 0
    else { return }
    _ = try receiveOutput(party: 0, request)
  }

  /// The output of `party`; nil when it only says that it computes.
  private func receiveOutput(party: Int, _ request: StepRequest) throws(InputError)
    -> OutputMessage?
  {
    let connection = connections[party]
    let limit = OutputMessage.headByteCount + 8 * request.rowCount * identity.outputWidth
    let frame = try connection.receive(.data(.output, atMost: limit, or: .waiting, .refusal))
    if frame.type == .waiting {
      _ = try WaitingNotice.reason(frame, source: connection.label)
      return nil
    }
    let output = try OutputMessage(frame, source: connection.label)
    guard output.step == stepCount,
      identity.outputCount(words: output.words.count, request) != nil
    else {
      throw InputError(connection.label, "sent the output of another step or width")
    }
    return output
  }

  public func loss() -> InputError? {
    // Between two steps a party speaks only to say that there are no more.
    for connection in connections where connection.hasInput {
      return reasonForLeaving(connection) ?? InputError(connection.label, "ended the session")
    }
    return nil
  }

  /// Ends the session and waits until both parties have noted it as finished.
  public func end() throws(InputError) {
    let message = SessionEnd(isFinished: true, reason: "").payload
    for connection in connections { try connection.send(.end, message) }
    for connection in connections {
      let limit = Deadline.after(.seconds(30))
      var frame: Frame
      repeat {
        frame = try connection.receive(.control(.end, .refusal, .waiting), deadline: limit)
      } while frame.type == .waiting
      _ = try SessionEnd(frame, source: connection.label)
    }
    for connection in connections { connection.close() }
  }
}

extension PartyIdentity {
  /// Throws when party 1 (`other`) runs something else than party 0 (this one).
  fileprivate func check(clientSees other: PartyIdentity, source: String) throws(InputError) {
    var expected = self
    expected.party = 1
    if other == expected { return }
    let cause =
      if other.programDigest != programDigest {
        "runs program \(PartyIdentity.short(other.programDigest)), "
          + "party 0 runs \(PartyIdentity.short(programDigest))"
      } else if other.conversionDigest != conversionDigest {
        "has conversion \(PartyIdentity.short(other.conversionDigest)), "
          + "party 0 has \(PartyIdentity.short(conversionDigest))"
      } else {
        "has a model of other widths than party 0"
      }
    throw InputError(source, cause)
  }
}
