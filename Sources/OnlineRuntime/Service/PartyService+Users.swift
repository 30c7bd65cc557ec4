// A provider: every connection is a user, who is client and party 1 in one.

import Bytes

extension PartyService {
  /// Serves users until the service is stopped, each on its own connection.
  func serveUsers(_ server: SessionServer) {
    inbox.absence = nil
    while !inbox.isStopped {
      guard let user = inbox.takeNext(where: { _ in true }) else {
        inbox.wait(milliseconds: 200)
        continue
      }
      serve(user) { [self] in
        user.stopWaiting()
        do throws(InputError) {
          try server.reconcile(with: user)
          user.connection.progressTimeout = configuration.progressTimeout
          server.serve(user, peer: user.connection)
        } catch {
          strangers.log("dropped \(error)")
          user.connection.closeGently(seconds: 1)
        }
      }
    }
  }

  /// Greets a user: checks that it has the other half of this conversion, and reads what it wants.
  func greetUser(
    _ other: PartyIdentity, _ connection: Connection, _ limit: Deadline
  ) throws(InputError) {
    connection.label = "user \(connection.label)"
    // The other side finds the same difference in this hello.
    try connection.send(.hello, Hello.party(identity).payload, deadline: limit)
    try identity.check(peer: other, source: connection.label)
    try enqueue(connection, limit)
  }
}
