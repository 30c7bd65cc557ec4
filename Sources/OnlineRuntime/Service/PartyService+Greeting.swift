// How a party greets whoever connects: peer, client or stranger.

import Bytes
import Program
import Randomness
import Trust

extension PartyService {
  /// Greets a connection that has left the reception, on a thread of its own.
  ///
  /// - Parameter limit: When it must have said what it wants, counted from its first moment.
  func welcome(_ connection: Connection, _ limit: Deadline) {
    guard inbox.admit(connection) else {
      connection.close()
      return
    }
    runInBackground { [self] in
      do throws(InputError) {
        try greet(connection, limit)
      } catch {
        if !inbox.isStopped { strangers.log("dropped \(error)") }
        connection.closeGently(seconds: 1)
        inbox.forget(connection)
      }
      inbox.dismiss(connection)
    }
  }

  private func greet(_ connection: Connection, _ limit: Deadline) throws(InputError) {
    let hello = try Hello(
      connection.receive(.control(.hello), deadline: limit), source: connection.label)
    try configuration.security.check(
      hello, by: connection.peerKey, source: connection.label)
    switch hello {
    case .party(let other) where identity.deployment == .providerUser:
      try greetUser(other, connection, limit)
    case .party(let other): try greetParty(other, connection, limit)
    case .lane(let meeting): try greetLane(meeting, connection, limit)
    case .client where identity.deployment == .providerUser:
      let refusal = Refusal(
        reason: "this is a provider, which serves users",
        hint: "give lodge-client --provider and the user's bundle")
      try connection.send(.refusal, refusal.payload, deadline: limit)
      throw InputError(connection.label, "came as a client, not as a user")
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

  /// Takes a lane of the meeting that goes on.
  private func greetLane(
    _ identifier: [UInt8], _ connection: Connection, _ limit: Deadline
  ) throws(InputError) {
    connection.label = "party 1 at \(connection.label)"
    guard let meeting = inbox.meeting, meeting.identifier == identifier else {
      let refusal = Refusal(reason: "this is no meeting of now", mayRetry: true)
      try connection.send(.refusal, refusal.payload, deadline: limit)
      throw InputError(connection.label, "opens a lane of no meeting of now")
    }
    try connection.send(.hello, Hello.lane(identifier).payload, deadline: limit)
    connection.progressTimeout = configuration.progressTimeout
    guard meeting.add(connection) else {
      throw InputError(connection.label, "opens more than the \(meeting.capacity) lanes")
    }
    inbox.signal()
  }

  /// Greets a client, which is taken for one of both parties'.
  private func greetClient(_ connection: Connection, _ limit: Deadline) throws(InputError) {
    connection.label = "client \(connection.label)"
    try connection.send(.hello, Hello.party(identity).payload, deadline: limit)
    try enqueue(connection, limit)
  }

  /// Reads the wish of a client or user and keeps it informed while it waits.
  func enqueue(_ connection: Connection, _ limit: Deadline) throws(InputError) {
    let begin = try BeginMessage(
      connection.receive(.control(.begin), deadline: limit), source: connection.label)
    var seed: Seed?
    if identity.party == 1 {
      seed = try Seed(
        connection.receive(.control(.seed), deadline: limit), source: connection.label)
    }
    let client = WaitingClient(connection: connection, begin: begin, seed: seed)
    let (reason, displaced) = inbox.add(client)
    if let reason {
      let refusal = Refusal(reason: reason, hint: "ask again in a minute", mayRetry: true)
      metrics.addRefusal()
      try connection.send(.refusal, refusal.payload, deadline: limit)
      throw InputError(connection.label, reason)
    }
    inbox.dismiss(connection)
    displaced?.refuse(
      Refusal(reason: "others with fewer requests are waiting here", mayRetry: true))
    strangers.log(
      "\(connection.label) asks for \(begin.promptCount) prompt and \(begin.newCount) new tokens")
    while !inbox.isStopped, client.notify(inbox.notice) { pauseOneSecond() }
    if inbox.remove(client) {
      strangers.log("\(connection.label) left, or spoke, before its turn")
      connection.close()
      inbox.forget(connection)
    }
  }
}
