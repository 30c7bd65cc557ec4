// What a party is told about its network and its patience.

public import Bytes

/// Addresses and time limits of one party.
public struct PartyConfiguration: Sendable {
  public static let maximumConcurrency = LanesMessage.maximumCount

  /// Where clients (and, at party 0, the other party) connect.
  public var listen: Address
  /// The other party, which a provider has none of. Party 1 dials it; party 0 asks there when nobody
  /// has dialled it.
  public var peer: Address?
  /// How both kinds of connections are protected.
  public var security = PartySecurity.plaintextOnLoopback
  /// How long a party that has just started waits for the other one.
  public var peerTimeout = Duration.seconds(60)
  /// How long a stranger may take to prove and say who it is, and a client what it wants.
  public var handshakeTimeout = Duration.seconds(5)
  /// How long a client may be known to one of the parties alone while they are free to serve it.
  public var meetingTimeout = Duration.seconds(10)
  /// How long a client may take to receive an output: a time to begin with, and one for its bytes.
  public var outputTimeout = (start: Duration.seconds(30), bytesPerSecond: 65_536)
  /// How long a client may be idle between two steps before its session is burned.
  public var clientIdleTimeout = Duration.seconds(120)
  /// How long the other party, or a user, may be silent in the middle of a step: longer than anything
  /// that is computed between two flights of it, for all sessions that run at once.
  public var progressTimeout = Connection.defaultProgressTimeout
  /// How often a client is told that its step is being computed.
  public var pulseInterval = Duration.seconds(5)
  /// How long the steps that run may take once the party is asked to end.
  public var finishTimeout = Duration.seconds(60)
  /// Where metrics and health are told; nowhere where it is nil.
  public var metrics: Address?
  /// Sessions that run at once, at most `maximumConcurrency`.
  public var concurrency = 4
  /// Memory that running sessions may take together, as `SessionDescription` estimates it.
  public var memoryByteCount = Int.max
  /// How long opening and checking a session's file may take.
  public var openTimeout = Duration.seconds(600)

  public init(listen: Address, peer: Address?) {
    self.listen = listen
    self.peer = peer
  }

  /// Throws where an address needs keys that are not there: long work finds out before it begins.
  public func checkSecurity() throws(InputError) {
    for (address, isListening) in [(listen, true), (peer, false)] {
      guard let address else { continue }
      for candidate in try SocketAddress.resolve(address, listening: isListening) {
        try security.accepted.check(candidate, address)
      }
    }
  }
}
