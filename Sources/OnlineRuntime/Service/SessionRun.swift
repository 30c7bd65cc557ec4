// One session from its first step to its end, at either party.

import Bytes
import Models
import Program

/// Serves the steps of one client until it ends the session or something fails.
struct SessionRun {
  private let service: PartyService
  private let client: WaitingClient
  private let peer: Connection
  private var engine: any SessionEngine
  private var stepCount = 0
  private var progress: SessionProgress
  private var peerHasEnded = false
  /// Of a server; a user sees the provider's words.
  private let pulse: Pulse?
  /// Whether client and peer are one: a user, who sends what a client sends and opens values as well.
  private var isWithUser: Bool { client.connection === peer }
  private(set) var counters = StepCounters()

  init(
    service: PartyService, client: WaitingClient, peer: Connection, engine: any SessionEngine
  ) {
    self.service = service
    self.client = client
    self.peer = peer
    self.engine = engine
    progress = SessionProgress(client.begin.shape(service.identity.kind))
    pulse =
      client.connection === peer
      ? nil : Pulse(client.connection, interval: service.configuration.pulseInterval)
  }

  /// Runs the session and agrees on its end with the peer; the client is told by the caller.
  mutating func run(_ key: SessionKey) -> SessionEnd {
    var end: SessionEnd
    defer { pulse?.stop() }
    do throws(InputError) {
      // Of a user it is that of the other party, which the connection has.
      if !isWithUser {
        client.connection.progressTimeout = service.configuration.clientIdleTimeout
      }
      try client.connection.send(.ready, key.payload, deadline: .after(.seconds(10)))
      try working { run throws(InputError) in try run.passKeys(key) }
      while let step = try nextStep() { try serve(step) }
      end = SessionEnd(isFinished: true, reason: "")
    } catch {
      end = SessionEnd(
        isFinished: false,
        reason: service.inbox.isStopped || service.inbox.isStopping
          ? service.stopReason : error.description)
    }
    // A user has said that it is done, and waits for the answer alone.
    let answer = isWithUser && end.isFinished ? nil : SessionRun.tellPeer(peer, end)
    if end.isFinished, let answer, !answer.isFinished {
      end = SessionEnd(isFinished: false, reason: "\(peer.label): \(answer.reason)")
    }
    return end
  }

  /// Does what the client waits for, who is told so meanwhile.
  private mutating func working<Result>(
    _ work: (inout SessionRun) throws(InputError) -> Result
  ) throws(InputError) -> Result {
    guard let pulse else { return try work(&self) }
    return try pulse.during { () throws(InputError) in try work(&self) }
  }

  /// Passes on what only one party has of the session's keys, and says how much that was.
  private mutating func passKeys(_ key: SessionKey) throws(InputError) {
    let before = peer.counters
    let beginning = ContinuousClock.now
    try engine.prepare(peer: peer)
    let moved = peer.counters.since(before)
    guard moved.bytesSent + moved.bytesReceived > 0 else { return }
    service.log(
      "\(key): \(Quantity.text(byteCount: moved.bytesSent)) of keys passed on, "
        + "\(Quantity.text(byteCount: moved.bytesReceived)) received in "
        + Quantity.text(seconds: (ContinuousClock.now - beginning) / .seconds(1)))
  }

  /// An opening, after the last message of one permuted function and the first of another: all others
  /// wait for an answer.
  private static let mostMessagesAhead = 3

  /// Sends how the session ended and reads until the peer says so too; nil when it cannot.
  ///
  /// Afterwards nothing of the session is left in the connection; where that fails it is closed.
  @discardableResult
  static func tellPeer(_ peer: Connection, _ end: SessionEnd) -> SessionEnd? {
    do throws(InputError) {
      let limit = Deadline.after(.seconds(10))
      let interruption = peer.takeInterruption()
      try peer.send(.end, end.payload, deadline: limit)
      if let interruption { return try SessionEnd(interruption, source: peer.label) }
      // The peer may have been some messages ahead when it stopped.
      for _ in 0..<SessionRun.mostMessagesAhead
      where try peer.peekType(.openingOrEnd, deadline: limit) == .words {
        try peer.discardWords(deadline: limit)
      }
      return try SessionEnd(peer.receive(.control(.end), deadline: limit), source: peer.label)
    } catch {
      peer.close()
      return nil
    }
  }

  /// The client's next step; nil when it ends the session.
  private mutating func nextStep() throws(InputError) -> StepMessage? {
    var idle = Deadline.after(service.configuration.clientIdleTimeout)
    while true {
      if service.inbox.isStopped || service.inbox.isStopping {
        throw InputError("party", "stopped")
      }
      // An opening may already be there when the peer got its step first; its end may be as well.
      let peerEvents = peer.hasPendingFrame ? Readiness.closed : Readiness.readable
      let ready = Connection.wait(
        [(client.connection, Readiness.readable)] + (isWithUser ? [] : [(peer, peerEvents)]),
        milliseconds: idle.milliseconds(limit: 1000))
      if ready[0] != 0 { return try receiveStep(idle) }
      // Both parties lose their patience at the same time: what this one says of itself is clearer.
      if idle.hasPassed {
        let limit = Quantity.text(
          seconds: service.configuration.clientIdleTimeout / .seconds(1))
        throw InputError(
          client.connection.label,
          peerHasEnded ? "did not end the session here" : "sent no step in \(limit) (--idle)")
      }
      if !isWithUser, ready[1] != 0 {
        try checkPeer(.after(.seconds(10)))
        if peerHasEnded { idle = .after(.seconds(5)) }
      }
    }
  }

  private mutating func checkPeer(_ limit: Deadline) throws(InputError) {
    if peer.hasPendingFrame {
      // Nothing more will come; what is left in the connection is not worth reading.
      peer.close()
      throw InputError(peer.label, "closed the connection")
    }
    if try peer.peekType(.openingOrEnd, deadline: limit) == .words { return }
    let frame = try peer.receive(.control(.end), deadline: limit)
    let end = try SessionEnd(frame, source: peer.label)
    peer.keepInterruption(frame)
    if end.isFinished {
      // The client said goodbye there first; its goodbye to this party is on its way.
      peerHasEnded = true
      return
    }
    throw InputError(peer.label, SessionEnd.interruptionText(frame))
  }

  private mutating func receiveStep(_ limit: Deadline) throws(InputError) -> StepMessage? {
    let connection = client.connection
    let rowLimit = progress.remainingRowCount
    let width = service.identity.party == 0 && !isWithUser ? service.identity.inputWidth : 0
    // One row more is read, so that it can be refused with the number of rows.
    let byteCount = StepMessage.headByteCount + 8 * (rowLimit + 1) * width
    let frame = try connection.receive(
      .data(.step, atMost: byteCount, or: .end), deadline: limit)
    if frame.type == .end {
      _ = try SessionEnd(frame, source: connection.label)
      return nil
    }
    if peerHasEnded { throw InputError(peer.label, "ended the session") }
    let step = try StepMessage(frame, source: connection.label)
    guard step.step == stepCount else {
      throw InputError(connection.label, "sent step \(step.step), expected \(stepCount)")
    }
    do throws(InputError) { _ = try progress.next(step.request) } catch {
      throw InputError(connection.label, "asks for what cannot be: \(error.cause)")
    }
    guard step.words.count == step.rowCount * width else {
      throw InputError(
        connection.label, "sent \(step.words.count) words for \(step.rowCount) rows of \(width)")
    }
    return step
  }

  private mutating func serve(_ step: StepMessage) throws(InputError) {
    let count = step.rowCount * service.identity.inputWidth
    let share: [UInt64]
    if let seed = client.seed {
      share = InputShares.partyOneShare(seed: seed, step: step.step, count: count)
    } else if isWithUser {
      // The user's input is all at its party.
      share = [UInt64](repeating: 0, count: count)
    } else {
      share = step.words
    }
    let before = peer.counters
    let beginning = ContinuousClock.now
    let channel: any OpeningChannel = isWithUser ? peer : ComparedStep(step, peer: peer)
    let output = try working { run throws(InputError) in
      try run.engine.step(inputShare: share, step.request, through: channel)
    }
    let moved = peer.counters.since(before)
    counters.add(moved)
    service.metrics.addStep(
      rowCount: step.rowCount, moved, took: ContinuousClock.now - beginning)
    stepCount += 1
    let message = OutputMessage(
      step: step.step, counters: counters,
      words: service.identity.packedOutput(output))
    let (start, rate) = service.configuration.outputTimeout
    try client.connection.send(
      .output, head: message.head, words: message.words,
      deadline: .transfer(
        byteCount: 8 * message.words.count, start: start, bytesPerSecond: rate))
  }
}
