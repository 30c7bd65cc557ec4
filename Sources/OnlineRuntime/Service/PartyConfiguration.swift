// What a party is told about its network and its patience.

/// Addresses and time limits of one party.
public struct PartyConfiguration: Sendable {
  /// Where clients (and, at party 0, the other party) connect.
  public var listen: Address
  /// The other party. Party 1 dials it; party 0 asks there when nobody has dialled it.
  public var peer: Address
  /// How long a party that has just started waits for the other one.
  public var peerTimeout = Duration.seconds(60)
  /// How long a stranger may take to say who it is.
  public var handshakeTimeout = Duration.seconds(5)
  /// How long a client may be idle between two steps before its session is burned.
  public var clientIdleTimeout = Duration.seconds(120)
  /// How long the other party may be silent in the middle of a step.
  public var progressTimeout = Connection.defaultProgressTimeout
  /// How long opening and checking a session's file may take.
  public var openTimeout = Duration.seconds(600)

  public init(listen: Address, peer: Address) {
    self.listen = listen
    self.peer = peer
  }
}
