// How two parties find each other: party 1 dials, party 0 accepts, both check what the other is.

import Bytes
import Program

extension PartyService {
  /// The connection to the other party; nil when the service is stopped.
  ///
  /// - Parameter isFirst: Only the first meeting has a time limit and ends at a mismatch.
  func meetPeer(at address: Address, isFirst: Bool) throws(InputError) -> Connection? {
    let deadline = isFirst ? Deadline.after(configuration.peerTimeout) : .none
    return try identity.party == 0
      ? awaitPeer(address, deadline, isFirst) : dialPeer(address, deadline, isFirst)
  }

  private var peerMissing: String {
    "party \(1 - identity.party) did not come within "
      + "\(configuration.peerTimeout.components.seconds) s"
  }

  /// Party 0: waits to be dialled. After a while it asks at the peer's address who is there, which
  /// finds a second party 0 that would wait just the same.
  private func awaitPeer(
    _ peerAddress: Address, _ deadline: Deadline, _ isFirst: Bool
  ) throws(InputError) -> Connection? {
    var nextQuestion = ContinuousClock.now + .seconds(2)
    while !inbox.isStopped {
      if let peer = inbox.peer { return peer }
      if isFirst, let mismatch = inbox.mismatch { throw mismatch }
      if deadline.hasPassed {
        throw InputError(
          peerAddress.description, peerMissing,
          hint: "start party 1 with --peer set to an address of this party's port \(address.port)")
      }
      if ContinuousClock.now >= nextQuestion, isFirst, peerAddress.port != 0 {
        try askPeer(peerAddress)
        nextQuestion = ContinuousClock.now + .seconds(5)
      }
      inbox.wait(milliseconds: 200)
    }
    return nil
  }

  /// Throws when a party that cannot be the peer listens at the peer's address.
  private func askPeer(_ peerAddress: Address) throws(InputError) {
    let hello: Hello
    let label: String
    do throws(InputError) {
      let connection = try Connection.dial(
        peerAddress, seconds: 1, security: configuration.security.dialled)
      label = connection.label
      try connection.send(.hello, Hello.party(identity).payload, deadline: .after(.seconds(1)))
      hello = try Hello(
        connection.receive(.control(.hello, .refusal), deadline: .after(.seconds(1))), source: label
      )
    } catch {
      return  // Nobody there yet, or somebody who is not asked: the waiting goes on.
    }
    if case .party(let other) = hello { try identity.check(peer: other, source: label) }
  }

  /// Party 1: dials with growing pauses until party 0 takes the connection.
  private func dialPeer(
    _ peerAddress: Address, _ deadline: Deadline, _ isFirst: Bool
  ) throws(InputError) -> Connection? {
    var pause = 50
    var logged = ""
    while !inbox.isStopped {
      if isFirst, let mismatch = inbox.mismatch { throw mismatch }
      let cause: InputError
      do throws(InputError) {
        let connection = try Connection.dial(
          peerAddress, seconds: 2, security: configuration.security.dialled)
        inbox.register(connection)
        do throws(InputError) {
          try greetPeer(connection)
          connection.label = "party 0 at \(peerAddress)"
          _ = inbox.offerPeer(connection)
          return connection
        } catch {
          connection.close()
          inbox.forget(connection)
          throw error
        }
      } catch {
        if isFirst, error.isMismatch { throw error }
        // A host that is not up yet is nothing to speak of; one with a wrong key is.
        let isWorthSaying = error.isMismatch || !Connection.State.keyHint(error.cause).isEmpty
        if isWorthSaying, error.cause != logged {
          log("error: \(error)")
          logged = error.cause
        }
        cause = error
      }
      if deadline.hasPassed {
        throw InputError(
          cause.source, "\(peerMissing): \(cause.cause)",
          hint: "start party 0 and check that --peer is the address it listens on")
      }
      inbox.wait(milliseconds: deadline.milliseconds(limit: pause))
      pause = min(2 * pause, 2000)
    }
    return nil
  }

  /// Exchanges hellos with party 0; throws when it is another than expected or takes nobody now.
  private func greetPeer(_ connection: Connection) throws(InputError) {
    let limit = Deadline.after(configuration.handshakeTimeout)
    try connection.send(.hello, Hello.party(identity).payload, deadline: limit)
    let hello = try Hello(
      connection.receive(.control(.hello, .refusal), deadline: limit), source: connection.label)
    guard case .party(let other) = hello else {
      throw InputError(connection.label, "is a client, not a party")
    }
    try identity.check(peer: other, source: connection.label)
  }
}

extension PartyIdentity {
  /// Throws an error that names the first thing in which `other` is not this party's counterpart.
  func check(peer other: PartyIdentity, source: String) throws(InputError) {
    func refuse(_ cause: String, hint: String) throws(InputError) {
      throw InputError(source, "\(InputError.mismatchPrefix) \(cause)", hint: hint)
    }
    if other.party == party {
      try refuse("both are party \(party)", hint: "start one with --party 0 and one with --party 1")
    }
    if other.conversionDigest != conversionDigest {
      try refuse(
        "its bundle is of conversion \(PartyIdentity.short(other.conversionDigest)), "
          + "this one of \(PartyIdentity.short(conversionDigest))",
        hint: "use the bundles of one run of lodge-model share")
    }
    if other.deployment != deployment {
      try refuse(
        "it is for \(other.deployment.rawValue), this is for \(deployment.rawValue)",
        hint: "use the bundles of one run of lodge-model share")
    }
    if other.programDigest != programDigest {
      try refuse(
        "it runs program \(PartyIdentity.short(other.programDigest)), "
          + "this is \(PartyIdentity.short(programDigest))",
        hint: "use the bundles of one run of lodge-model share")
    }
    if other.inputWidth != inputWidth || other.outputWidth != outputWidth
      || other.outputBits != outputBits
      || other.isDecoder != isDecoder
    {
      try refuse("its model has other widths", hint: "use bundles of one run of lodge-model share")
    }
    if other.output != output {
      try refuse(
        "its model has another output", hint: "use bundles of one run of lodge-model share")
    }
  }

  /// The first six bytes of a digest.
  static func short(_ digest: [UInt8]) -> String { Array(digest.prefix(6)).hexadecimal }
}

extension InputError {
  static let mismatchPrefix = "wrong peer:"

  /// True when waiting cannot help.
  var isMismatch: Bool { cause.hasPrefix(InputError.mismatchPrefix) }
}
