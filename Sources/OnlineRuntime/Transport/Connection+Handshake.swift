// From a TCP connection to one whose other end is known.

import Bytes
import Synchronization
import Trust

extension Connection {
  /// Runs the TLS handshake where `security` asks for one; nothing may have been sent before.
  ///
  /// - Parameter deadline: For the whole handshake, however slowly its bytes come.
  /// - Throws: `InputError` naming the other side when it is not known here, or does not know us.
  func authenticate(
    _ security: ChannelSecurity, as role: TLSSession.Role, deadline: Deadline
  ) throws(InputError) {
    beginHandshake(security, as: role)
    while let events = try continueHandshake(deadline) {
      _ = Readiness.wait([(socket, events)], milliseconds: deadline.milliseconds(limit: 1000))
    }
  }

  /// Makes the TLS session that `continueHandshake` goes on with; without keys there is none.
  func beginHandshake(_ security: ChannelSecurity, as role: TLSSession.Role) {
    guard case .pinned(let context, let accepted) = security else { return }
    let session = TLSSession(
      context, descriptor: socket.descriptor, role: role, accepted: accepted)
    state.withLock { $0.handshake = (session, role) }
  }

  /// Goes as far with the handshake as the socket allows.
  ///
  /// - Returns: What the socket must report before it can go on; nil when it is finished.
  func continueHandshake(_ deadline: Deadline) throws(InputError) -> Int16? {
    try state.withLock { state throws(InputError) -> Int16? in
      guard let (session, role) = state.handshake else { return nil }
      let events: Int16
      switch session.handshake() {
      case .moved:
        state.tls = session
        state.handshake = nil
        return nil
      case .wantsInput: events = Readiness.readable
      case .wantsOutput: events = Readiness.writable
      case .endOfStream:
        throw state.fail(
          "closed the connection in the TLS handshake",
          hint: role == .dialler ? "was it started with keys?" : "")
      case .failed(let cause): throw state.fail(cause)
      }
      if deadline.hasPassed { throw state.fail("did not finish the TLS handshake in time") }
      return events
    }
  }

  /// The key that the other side has proved to hold; nil without TLS.
  var peerKey: PublicKey? { state.withLock { $0.tls?.offeredKey } }

  /// Which of several connections have something to report, as `Readiness.wait` tells of sockets;
  /// bytes that were taken from the socket already count as readable.
  static func wait(
    _ watched: [(connection: Connection, events: Int16)], milliseconds: Int
  ) -> [Int16] {
    let buffered = watched.map { connection, events in
      connection.hasBufferedInput ? events & Readiness.readable : 0
    }
    let hasSome = buffered.contains { $0 != 0 }
    let ready = Readiness.wait(
      watched.map { ($0.connection.socket, $0.events) }, milliseconds: hasSome ? 0 : milliseconds)
    return zip(ready, buffered).map { $0 | $1 }
  }

  var hasBufferedInput: Bool {
    state.withLock { !$0.input.isEmpty || ($0.tls?.hasBufferedInput ?? false) }
  }
}

extension Connection.State {
  /// What to do about a failure that concerns keys.
  static func keyHint(_ cause: String) -> String {
    if cause.hasPrefix("has the key") {
      return "compare with its .pub file; somebody else may answer at this address"
    }
    if cause.hasPrefix("does not accept this side's key") {
      return "its --client-keys or --peer-key must hold the line of this side's .pub file"
    }
    return ""
  }

  /// Sends from the front of `bytes`, encrypted where there is TLS.
  func send(_ bytes: UnsafeRawBufferPointer, on socket: Socket) -> Socket.Outcome {
    guard let tls else { return unsafe socket.send(bytes) }
    return Socket.Outcome(unsafe tls.send(bytes))
  }

  /// Receives into the front of `buffer`, first what was received ahead.
  mutating func receive(into buffer: UnsafeMutableRawBufferPointer, from socket: Socket)
    -> Socket.Outcome
  {
    if !input.isEmpty { return .moved(unsafe input.take(into: buffer)) }
    guard let tls else { return unsafe socket.receive(into: buffer) }
    return Socket.Outcome(unsafe tls.receive(into: buffer))
  }
}

extension Socket.Outcome {
  init(_ outcome: TLSSession.Outcome) {
    switch outcome {
    case .moved(let count): self = .moved(count)
    case .wantsInput, .wantsOutput: self = .wouldBlock
    case .endOfStream: self = .endOfStream
    case .failed(let cause): self = .failed(cause)
    }
  }
}
