// Which options of keys belong together, and where keys are needed.

import Bytes
import Foundation
import OnlineRuntime
import Testing
import Trust

struct SecurityOptionTests {
  private let folder: TemporaryFolder
  private let keys: [PrivateKey]

  init() throws {
    folder = try TemporaryFolder()
    keys = (0..<3).map { _ in .random() }
    for (index, key) in keys.enumerated() {
      try key.write(to: folder.path("\(index).key"), comment: "\(index)")
    }
  }

  private func security(
    _ identity: Int?, _ peer: Int?, clients: [Int]?, isInsecure: Bool = false
  ) throws -> PartySecurity {
    var list: String?
    if let clients {
      list = folder.path("clients")
      let text = clients.map { "\(keys[$0].publicKey.text)\n" }.joined()
      try Data(text.utf8).write(to: URL(filePath: folder.path("clients")))
    }
    return try PartySecurity(
      identity: identity.map { folder.path("\($0).key") },
      peerKey: peer.map { folder.path("\($0).key.pub") }, clientKeys: list, isInsecure: isInsecure)
  }

  private func failure(_ body: () throws -> Void) -> InputError? {
    do {
      try body()
      return nil
    } catch { return error as? InputError }
  }

  @Test func withoutKeysOnlyThisMachine() throws {
    guard case .plaintextOnLoopback = try security(nil, nil, clients: nil) else {
      Issue.record("plain TCP beyond this machine")
      return
    }
    // A key alone opens sealed files.
    guard case .plaintextOnLoopback = try security(0, nil, clients: nil) else {
      Issue.record("a key without others")
      return
    }
    guard case .plaintextAnywhere = try security(nil, nil, clients: nil, isInsecure: true) else {
      Issue.record("--insecure-plaintext is not heard")
      return
    }
  }

  @Test func keysBelongTogether() throws {
    guard case .keys(let own, let peer, let clients) = try security(0, 1, clients: [2]) else {
      Issue.record("no keys")
      return
    }
    #expect(own.publicKey == keys[0].publicKey)
    #expect(peer == keys[1].publicKey)
    #expect(clients == [keys[2].publicKey])
    #expect(failure { _ = try security(nil, 1, clients: [2]) }?.source == "--identity")
    #expect(failure { _ = try security(0, nil, clients: [2]) }?.source == "--peer-key")
    #expect(failure { _ = try security(0, 1, clients: nil) }?.source == "--client-keys")
    #expect(failure { _ = try security(0, 0, clients: [2]) }?.cause == "is this party's own key")
    #expect(
      failure { _ = try security(0, 1, clients: [2], isInsecure: true) }?.source
        == "--insecure-plaintext")
    #expect(failure { _ = try security(0, 1, clients: []) }?.cause == "holds no public key")
  }

  @Test func clientsNeedBothPartiesKeys() throws {
    let parties = [keys[0].publicKey.text, keys[1].publicKey.text]
    let own = folder.path("2.key")
    guard
      case .keys(_, let found) = try ClientSecurity(
        identity: own, partyKeys: parties, isInsecure: false)
    else {
      Issue.record("no keys")
      return
    }
    #expect(found == [keys[0].publicKey, keys[1].publicKey])
    for (identity, party0, party1, source) in [
      (nil, parties[0], parties[1], "--identity"), (own, nil, parties[1], "--party0-key"),
      (own, parties[0], nil, "--party1-key"), (own, parties[0], parties[0], "--party1-key"),
      (own, nil, nil, "--party0-key"),
    ] as [(String?, String?, String?, String)] {
      let error = failure {
        _ = try ClientSecurity(
          identity: identity, partyKeys: [party0, party1], isInsecure: false)
      }
      #expect(error?.source == source)
    }
  }

  @Test(arguments: ["0.0.0.0:0", "[::]:0", "192.0.2.1:9"])
  func otherMachinesNeedKeys(text: String) throws {
    let address = try Address(text)
    let cause = "is not an address of this machine alone: that needs keys"
    #expect(failure { _ = try Connection.dial(address, seconds: 0.1) }?.cause == cause)
    #expect(failure { _ = try Listener(address) }?.cause == cause)
    var configuration = PartyConfiguration(listen: try Address("127.0.0.1:0"), peer: address)
    #expect(failure { try configuration.checkSecurity() }?.source == text)
    configuration.security = .plaintextAnywhere
    try configuration.checkSecurity()
    configuration.security = .keys(
      own: TLSContext(key: keys[0]), peer: keys[1].publicKey, clients: [])
    try configuration.checkSecurity()
  }

  @Test(arguments: [
    "127.0.0.1:0", "127.8.9.10:0", "[::1]:0", "localhost:0", "[::ffff:127.0.0.1]:0",
  ])
  func thisMachineNeedsNone(text: String) throws {
    let address = try Address(text)
    try PartyConfiguration(listen: address, peer: address).checkSecurity()
  }

  @Test func anyAddressMayListenWithKeys() throws {
    let security = ChannelSecurity.pinned(TLSContext(key: keys[0]), accepted: [])
    let listener = try Listener(Address("0.0.0.0:0"), security: security)
    #expect(listener.address.port != 0)
    listener.close()
  }
}
