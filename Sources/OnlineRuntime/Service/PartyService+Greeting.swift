// How a party greets whoever connects: peer, client or stranger.

import Bytes
import Randomness
import Trust

extension PartyService {
  /// Accepts until the service stops; every connection is greeted on a thread of its own.
  func acceptConnections() {
    while !inbox.isStopped {
      guard let connection = listener.accept(milliseconds: 250) else { continue }
      guard inbox.admit(connection) else {
        connection.close()
        continue
      }
      runInBackground { [self] in
        do throws(InputError) {
          try greet(connection)
        } catch {
          if !inbox.isStopped { log("dropped \(error)") }
          connection.closeGently(seconds: 1)
          inbox.forget(connection)
        }
        inbox.dismiss(connection)
      }
    }
  }

  private func greet(_ connection: Connection) throws(InputError) {
    let limit = Deadline.after(configuration.handshakeTimeout)
    let security = configuration.security
    try connection.authenticate(security.accepted, as: .listener, deadline: limit)
    let hello = try Hello(connection.receive(deadline: limit), source: connection.label)
    try security.check(hello, by: connection.peerKey, source: connection.label)
    switch hello {
    case .party(let other): try greetParty(other, connection, limit)
    case .client: try greetClient(connection, limit)
    }
  }

  private func greetParty(
    _ other: PartyIdentity, _ connection: Connection, _ limit: Deadline
  ) throws(InputError) {
    let hello = Hello.party(identity).payload
    do throws(InputError) {
      try identity.check(peer: other, source: connection.label)
    } catch {
      // The other side finds the same difference in this hello.
      try connection.send(.hello, hello, deadline: limit)
      inbox.reportMismatch(error)
      throw error
    }
    if identity.party == 1 {
      // Party 0 asks who is here; the connection between the parties is the one party 1 dials.
      try connection.send(.hello, hello, deadline: limit)
      connection.closeGently(seconds: 1)
      inbox.forget(connection)
      return
    }
    inbox.dismiss(connection)
    connection.label = "party 1 at \(connection.label)"
    if let peer = inbox.peer, !peer.isBroken, !peer.isClosedByPeer {
      let refusal = Refusal(reason: "another party 1 is connected here", mayRetry: true)
      try connection.send(.refusal, refusal.payload, deadline: limit)
      throw InputError(connection.label, "another party 1 is connected already")
    }
    try connection.send(.hello, hello, deadline: limit)
    if !inbox.offerPeer(connection) {
      throw InputError(connection.label, "another party 1 is connected already")
    }
  }

  /// Reads what a client wants and keeps it informed while it waits.
  private func greetClient(_ connection: Connection, _ limit: Deadline) throws(InputError) {
    connection.label = "client \(connection.label)"
    try connection.send(.hello, Hello.party(identity).payload, deadline: limit)
    let begin = try BeginMessage(
      connection.receive(deadline: limit), source: connection.label)
    var seed: Seed?
    if identity.party == 1 {
      let frame = try connection.receive(deadline: limit)
      guard frame.type == .seed, frame.payload.count == Seed.byteCount else {
        throw InputError(connection.label, "sent no seed for its input shares")
      }
      seed = Seed(bytes: frame.payload)
    }
    guard inbox.recognise(connection) else {
      let refusal = Refusal(reason: "too many clients are waiting here", mayRetry: true)
      try connection.send(.refusal, refusal.payload, deadline: limit)
      throw InputError(connection.label, "came when too many clients were waiting")
    }
    let client = WaitingClient(connection: connection, begin: begin, seed: seed)
    log(
      "\(connection.label) asks for \(begin.promptCount) prompt and \(begin.newCount) new tokens")
    inbox.add(client)
    while !inbox.isStopped, client.notify(inbox.status) { pauseOneSecond() }
    if inbox.remove(client) {
      log("\(connection.label) left before its turn")
      connection.close()
      inbox.forget(connection)
    }
  }
}
