// A TCP connection that carries frames, with counters and with deadlines on every wait.

public import Bytes
import Glibc
import Synchronization
import Trust

/// A framed, counted connection over TCP, or TLS on TCP, between two parties, or between a client
/// and a party.
///
/// One thread uses it at a time (calls from several are serialised); `close` may come from any. An
/// error in the middle of a frame breaks the connection: every later call throws the same error.
public final class Connection: Sendable {
  /// Bytes on the wire around the payload of every frame.
  public static let frameHeaderByteCount = FrameHeader.byteCount
  /// Longest wait without a single byte moving before the other side is given up.
  public static let defaultProgressTimeout = Duration.seconds(300)
  /// Seconds without any acknowledgement after which a host counts as vanished.
  static let unansweredSeconds = 8

  struct State {
    var label: String
    /// Set once by the handshake; everything then goes through it.
    var tls: TLSSession?
    /// The session whose handshake is not finished.
    var handshake: (session: TLSSession, role: TLSSession.Role)?
    var sendSequence: UInt32 = 0
    var receiveSequence: UInt32 = 0
    /// Bytes of a header that has not arrived completely.
    var partialHeader: [UInt8] = []
    /// Bytes of the frame that an exchange waits for.
    var input = InputBuffer()
    /// For the other side's part of an exchange.
    var waits = RecentWaits()
    /// A header whose payload has not been read.
    var pendingHeader: FrameHeader?
    var counters = TransportCounters()
    var failure: InputError?
    var isClosed = false
    /// The frame with which the peer ended the session in the middle of an exchange.
    var interruption: Frame?
    var progressTimeout = Connection.defaultProgressTimeout
  }

  let socket: Socket
  let state: Mutex<State>

  /// The numeric address of the other side without its port, where it has dialled.
  let host: String

  init(_ socket: Socket, label: String, host: String = "") {
    socket.configureForSession()
    self.socket = socket
    self.host = host
    self.state = Mutex(State(label: label))
  }

  /// Who is at the other end, as errors name it: an address, with the role once it is known.
  public var label: String {
    get { state.withLock { $0.label } }
    set { state.withLock { $0.label = newValue } }
  }

  /// Longest wait without a single byte moving before the other side is given up.
  public var progressTimeout: Duration {
    get { state.withLock { $0.progressTimeout } }
    set { state.withLock { $0.progressTimeout = newValue } }
  }

  public var counters: TransportCounters { state.withLock { $0.counters } }

  /// True after an error from which the frames cannot be told apart any more.
  public var isBroken: Bool { state.withLock { $0.failure != nil } }

  /// True when the other side has closed or the connection is lost; does not wait.
  public var isClosedByPeer: Bool {
    Readiness.wait([(socket, Readiness.closed)], milliseconds: 0)[0] != 0
  }

  /// True when there is something to read, be it the end; does not wait.
  var hasInput: Bool {
    hasBufferedInput || Readiness.wait([(socket, Readiness.readable)], milliseconds: 0)[0] != 0
  }

  /// True when the other host has acknowledged nothing of what was sent for `unansweredSeconds`.
  var hasVanished: Bool { socket.isUnanswered(seconds: Connection.unansweredSeconds) }

  /// What is said of a host that answers no more.
  static let vanished = "vanished: nothing acknowledged for \(unansweredSeconds) s"

  /// What is said of a process that sends nothing though its host answers.
  static func silent(for duration: Duration) -> String {
    "silent for \(Quantity.text(seconds: duration / .seconds(1))) (--silence)"
  }

  /// Ends the connection; calls that wait on it throw. Safe from any thread.
  public func close() {
    state.withLock { $0.isClosed = true }
    socket.shutDown()
  }

  /// Ends sending and reads away what still comes, so that the last frame is not lost to a reset.
  ///
  /// Whoever still sends after `seconds` gets that reset.
  func closeGently(seconds: Int = 2) {
    state.withLock { $0.tls?.sendEnd() }
    endSending()
    let end = ContinuousClock.now + .seconds(seconds)
    // After `close` nothing tells whether the other side has ended.
    while !state.withLock({ $0.isClosed }), ContinuousClock.now < end {
      _ = Readiness.wait([(socket, Readiness.readable)], milliseconds: 100)
      if hasSentAll() {
        close()
        return
      }
    }
    socket.abandon()
  }

  /// Ends sending; whoever is refused can still read what was said.
  func endSending() { socket.shutDownSending() }

  /// Throws away what has come after `endSending`; true once the other side has ended as well.
  func hasSentAll() -> Bool {
    var waste = [UInt8](repeating: 0, count: 65_536)
    let outcome = unsafe waste.withUnsafeMutableBytes { unsafe socket.receive(into: $0) }
    switch outcome {
    case .moved, .wouldBlock: return false
    case .endOfStream, .failed: return true
    }
  }

  /// Connects to `address` and makes sure of who is there, as `security` asks.
  ///
  /// - Parameter seconds: Longest wait for each address that the name stands for, and for the
  ///   handshake after it.
  /// - Throws: `InputError` naming the address and the cause.
  public static func dial(
    _ address: Address, seconds: Double = 5, security: ChannelSecurity = .plaintextOnLoopback
  ) throws(InputError) -> Connection {
    var failure = InputError(address.description, "no address to connect to")
    for candidate in try SocketAddress.resolve(address, listening: false) {
      try security.check(candidate, address)
      let descriptor = Glibc.socket(
        candidate.family,
        Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
          | Int32(SOCK_NONBLOCK.rawValue), 0)
      guard descriptor >= 0 else {
        failure = InputError(address.description, Socket.text(errno))
        continue
      }
      let socket = Socket(owning: descriptor)
      var code: Int32 = 0
      let status = unsafe candidate.withPointer { pointer, length in
        unsafe connect(descriptor, pointer, length)
      }
      if status != 0 {
        code = errno
        if code == EINPROGRESS {
          let events = Readiness.wait(
            [(socket, Readiness.writable)], milliseconds: Int(seconds * 1000))
          code = events[0] == 0 ? ETIMEDOUT : socket.pendingError
        }
      }
      if code == 0 {
        let connection = Connection(socket, label: address.description)
        try connection.authenticate(
          security, as: .dialler, deadline: .after(.seconds(seconds)))
        return connection
      }
      failure = InputError(address.description, "cannot connect", system: code)
    }
    throw failure
  }
}

extension Connection.State {
  /// Breaks the connection and returns the error to throw.
  mutating func fail(_ cause: String, hint: String = "") -> InputError {
    let error = InputError(label, cause, hint: hint.isEmpty ? Self.keyHint(cause) : hint)
    failure = error
    return error
  }
}

extension Socket {
  /// The error of a finished connection attempt, 0 for none.
  fileprivate var pendingError: Int32 {
    var code: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    let status = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
    return status == 0 ? code : errno
  }
}
