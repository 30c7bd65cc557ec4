// Two parties and a client that go by keys.

import Bytes
import Foundation
import OnlineRuntime
import Trust

/// The keys of a deployment, and parties that use them.
struct KeyedParties {
  let folder: TemporaryFolder
  let keys = (0..<2).map { _ in TLSContext(key: .random()) }
  let client = TLSContext(key: .random())
  /// Another client.
  let other = TLSContext(key: .random())
  let party0: FakeParty
  let party1: FakeParty

  /// - Parameter throughTap: Gives the address that party 1 dials for that of party 0.
  init(
    inputWidth: Int = fakeInputWidth, sessionCount: Int = 3,
    handshakeTimeout: Duration = .seconds(5), concurrency: Int = 4,
    peerAddress: (Address) throws -> Address = { $0 }
  ) throws {
    let folder = try TemporaryFolder()
    let keys = keys
    let clients: Set = [client.publicKey, other.publicKey]
    func security(_ party: Int) -> PartySecurity {
      .keys(own: keys[party], peer: keys[1 - party].publicKey, clients: clients)
    }
    func start(_ party: Int, peer: Address?) throws -> FakeParty {
      try FakeParty(
        FakeProvider(party: party, sessionCount: sessionCount, inputWidth: inputWidth),
        folder: folder, peer: peer
      ) {
        $0.security = security(party)
        $0.handshakeTimeout = handshakeTimeout
        $0.concurrency = concurrency
      }
    }
    self.folder = folder
    party0 = try start(0, peer: nil)
    party1 = try start(1, peer: peerAddress(party0.address))
  }

  var parties: [FakeParty] { [party0, party1] }

  /// Begins a session as the holder of `own`, which is the known client unless told otherwise.
  func begin(
    as own: TLSContext? = nil, partyKeys: [PublicKey]? = nil, timeout: Duration = .seconds(20)
  ) throws -> ClientSession {
    try ClientSession.begin(
      party0: party0.address, party1: party1.address, promptCount: 2, newCount: 4,
      security: .keys(own: own ?? client, parties: partyKeys ?? keys.map(\.publicKey)),
      timeout: timeout)
  }

  /// Runs a session of one step, which must be session `number`.
  func expectService(session number: Int) throws -> Bool {
    let session = try begin()
    let width = session.identity.inputWidth
    let rows = (0..<width).map { UInt64($0) &* 0x9e37_79b9_7f4a_7c15 }
    let output = try session.step(rows: rows, rowCount: 1)
    try session.end()
    return session.key.session == number
      && output == (0..<fakeOutputWidth).map { 3 &* rows[$0] }
  }

  func stop() throws {
    try party0.stop()
    try party1.stop()
  }

  /// What became of a session at both parties, after `stop`.
  func states(session: Int) throws -> [SessionLedger.State?] {
    try (0..<2).map { try ledgerState(folder, party: $0, session: session) }
  }
}
