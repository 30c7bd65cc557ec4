// What went over a connection, counted where it is written to and read from the socket.

/// Rounds, frames and bytes of one connection; bytes include the 16-byte frame headers.
public struct TransportCounters: Equatable, Sendable {
  /// Exchanges: one message each way at the same time counts as one round.
  public var rounds = 0
  public var framesSent = 0
  public var framesReceived = 0
  public var bytesSent = 0
  public var bytesReceived = 0

  public init() {}

  /// What was counted after `earlier`.
  public func since(_ earlier: TransportCounters) -> TransportCounters {
    var result = self
    result.rounds -= earlier.rounds
    result.framesSent -= earlier.framesSent
    result.framesReceived -= earlier.framesReceived
    result.bytesSent -= earlier.bytesSent
    result.bytesReceived -= earlier.bytesReceived
    return result
  }
}
