// How connections are protected, and what that allows.

import Bytes
public import Trust

/// The protection of the connections that one process dials or accepts for one purpose.
public enum ChannelSecurity: Sendable {
  /// Plain TCP, with addresses of this machine only.
  case plaintextOnLoopback
  /// Plain TCP with anybody: whoever is on the way reads everything and can pose as any side.
  case plaintextAnywhere
  /// TLS 1.3 with others who hold one of `accepted`.
  case pinned(TLSContext, accepted: Set<PublicKey>)

  /// Throws when `socket`, an end of a connection or a listener, needs keys.
  func check(_ socket: SocketAddress, _ address: Address) throws(InputError) {
    guard case .plaintextOnLoopback = self, !socket.isLoopback else { return }
    throw InputError(
      address.description, "is not an address of this machine alone: that needs keys",
      hint: "make keys with 'lodge-party keygen' and give them, or use --insecure-plaintext")
  }
}

/// The keys that a party goes by.
public enum PartySecurity: Sendable {
  case plaintextOnLoopback
  case plaintextAnywhere
  /// TLS 1.3 with exactly one other party, and with these clients; at a provider, which has no other
  /// party but its users, with those alone.
  case keys(own: TLSContext, peer: PublicKey?, clients: Set<PublicKey>)

  /// For connections to the other party.
  var dialled: ChannelSecurity {
    switch self {
    case .plaintextOnLoopback: .plaintextOnLoopback
    case .plaintextAnywhere: .plaintextAnywhere
    case .keys(let own, let peer, _): .pinned(own, accepted: peer.map { [$0] } ?? [])
    }
  }

  /// For connections from the other party and from clients.
  var accepted: ChannelSecurity {
    switch self {
    case .plaintextOnLoopback: .plaintextOnLoopback
    case .plaintextAnywhere: .plaintextAnywhere
    case .keys(let own, let peer, let clients):
      .pinned(own, accepted: clients.union(peer.map { [$0] } ?? []))
    }
  }

  /// Throws when the holder of `key` is not who it says it is.
  func check(_ hello: Hello, by key: PublicKey?, source: String) throws(InputError) {
    guard case .keys(_, let peer, let clients) = self else { return }
    switch hello {
    case .party:
      // A user is the other party.
      if peer == nil, let key, clients.contains(key) { return }
      guard key != peer else { return }
      throw InputError(source, "says that it is a party, with the key of a client")
    case .lane:
      guard key != peer else { return }
      throw InputError(source, "opens a lane, with the key of a client")
    case .client:
      if let key, clients.contains(key) { return }
      throw InputError(source, "says that it is a client, with the key of the other party")
    }
  }
}

/// The keys that a client goes by.
public enum ClientSecurity: Sendable {
  case plaintextOnLoopback
  case plaintextAnywhere
  /// TLS 1.3 with the holder of `parties[p]` as party p.
  case keys(own: TLSContext, parties: [PublicKey])

  func dialled(party: Int) -> ChannelSecurity {
    switch self {
    case .plaintextOnLoopback: .plaintextOnLoopback
    case .plaintextAnywhere: .plaintextAnywhere
    case .keys(let own, let parties): .pinned(own, accepted: [parties[party]])
    }
  }
}
