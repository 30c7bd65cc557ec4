// A client on its way to a session.

import Bytes
import Randomness
import Synchronization
import Trust

/// What both parties know a client's connections by: its key, and a name that it draws for them.
struct ClientName: Hashable, Sendable {
  /// The client's public key in hexadecimal; empty without keys.
  var key: String
  var request: [UInt8]
}

/// A client that has said what it wants and waits for its turn.
final class WaitingClient: Sendable {
  let connection: Connection
  let begin: BeginMessage
  let name: ClientName
  /// Expands to party 1's input shares; nil at party 0.
  let seed: Seed?
  let arrival = ContinuousClock.now
  /// False once its session starts; locked while a notice is being sent, so that none comes late.
  private let isWaiting = Mutex(true)

  init(connection: Connection, begin: BeginMessage, seed: Seed?) {
    self.connection = connection
    self.begin = begin
    self.seed = seed
    name = ClientName(
      key: connection.peerKey?.bytes.hexadecimal ?? "", request: begin.request)
  }

  /// Whose places it takes: its key's, or its address's without keys.
  var holder: String { name.key.isEmpty ? connection.host : name.key }

  /// Tells the client why it waits; returns false when it waits no more, has left, or has sent
  /// something before its turn.
  func notify(_ reason: String) -> Bool {
    isWaiting.withLock { isWaiting in
      let hasSpoken = Connection.wait([(connection, Readiness.readable)], milliseconds: 0)[0] != 0
      guard isWaiting, !hasSpoken, !connection.isClosedByPeer else { return false }
      do throws(InputError) {
        try connection.send(
          .waiting, WaitingNotice.payload(reason), deadline: .after(.seconds(1)))
        return true
      } catch {
        return false
      }
    }
  }

  /// Ends the notices: from here on the serving thread alone uses the connection.
  func stopWaiting() { isWaiting.withLock { $0 = false } }

  /// Sends a refusal and closes, on a thread of its own: nobody waits for a client that is slow.
  func refuse(_ refusal: Refusal) {
    runInBackground { [self] in
      stopWaiting()
      try? connection.send(.refusal, refusal.payload, deadline: .after(.seconds(5)))
      connection.closeGently()
    }
  }
}
