// From command-line options to keys: which of them belong together.

public import Bytes
import Trust

extension PartySecurity {
  /// The protection that the options of `lodge-party` ask for.
  ///
  /// - Parameters:
  ///   - identity: Path of this party's private key.
  ///   - peerKey: The other party's public key, or the path of a file with it.
  ///   - clientKeys: Public keys of clients: a file of them, or several with commas between them.
  ///   - isInsecure: Whether plain TCP is allowed beyond this machine.
  ///   - isProvider: Whether the other party are the users, whose keys are those of clients.
  /// - Throws: `InputError` naming the option that is missing or too much, or the file that is
  ///   wrong.
  public init(
    identity: String?, peerKey: String?, clientKeys: String?, isInsecure: Bool,
    isProvider: Bool = false
  ) throws(InputError) {
    if isProvider, peerKey != nil {
      throw InputError(
        "--peer-key", "is of no use to a provider", hint: "list the users in --client-keys")
    }
    if peerKey == nil, clientKeys == nil {
      self = isInsecure ? .plaintextAnywhere : .plaintextOnLoopback
      return
    }
    try SecurityOption.refuseInsecure(isInsecure)
    let identity = try SecurityOption.needed(identity, "identity", "this party's private key")
    let peerKey =
      isProvider
      ? nil : try SecurityOption.needed(peerKey, "peer-key", "the other party's public key")
    let clientKeys = try SecurityOption.needed(
      clientKeys, "client-keys", "a file with the public keys of clients")
    let own = try PrivateKey(path: identity)
    let peer = try peerKey.map { (key) throws(InputError) in try PublicKey(textOrPath: key) }
    guard peer != own.publicKey else {
      throw InputError("--peer-key", "is this party's own key", hint: "give the other party's")
    }
    self = .keys(
      own: TLSContext(key: own), peer: peer,
      clients: Set(try PublicKey.list(textOrPath: clientKeys)))
  }

  /// One line for the log.
  public var summary: String {
    switch self {
    case .plaintextOnLoopback: "speaks plain TCP with this machine only"
    case .plaintextAnywhere:
      "speaks plain TCP: whoever is on the way can read and change everything"
    case .keys(let own, let peer, let clients):
      "has the key \(own.publicKey), expects "
        + (peer.map { "\($0) and " } ?? "") + "\(clients.count) keys of clients"
    }
  }
}

extension ClientSecurity {
  /// The protection that the options of `lodge-client` ask for.
  ///
  /// - Parameters:
  ///   - partyKeys: Public keys of parties 0 and 1, or of the provider, or paths of files with them.
  ///   - keyNames: The options that they are from.
  /// - Throws: `InputError` naming the option that is missing or too much, or the file that is
  ///   wrong.
  public init(
    identity: String?, partyKeys: [String?], isInsecure: Bool,
    keyNames: [String] = ["party0-key", "party1-key"]
  ) throws(InputError) {
    if identity == nil, partyKeys.allSatisfy({ $0 == nil }) {
      self = isInsecure ? .plaintextAnywhere : .plaintextOnLoopback
      return
    }
    try SecurityOption.refuseInsecure(isInsecure)
    let identity = try SecurityOption.needed(identity, "identity", "this client's private key")
    var parties: [PublicKey] = []
    for (party, key) in partyKeys.enumerated() {
      parties.append(
        try PublicKey(
          textOrPath: SecurityOption.needed(
            key, keyNames[party], "the public key of whom this client connects to")))
    }
    guard Set(parties).count == parties.count else {
      throw InputError(
        "--party1-key", "is the key of party 0 as well", hint: "each party has a key of its own")
    }
    self = .keys(own: TLSContext(key: try PrivateKey(path: identity)), parties: parties)
  }
}

private enum SecurityOption {
  static func needed(_ value: String?, _ name: String, _ meaning: String) throws(InputError)
    -> String
  {
    if let value { return value }
    throw InputError(
      "--\(name)", "is missing: \(meaning)",
      hint: "keys are used together; make them with 'lodge-party keygen'")
  }

  static func refuseInsecure(_ isInsecure: Bool) throws(InputError) {
    guard isInsecure else { return }
    throw InputError("--insecure-plaintext", "makes no sense together with keys")
  }
}
