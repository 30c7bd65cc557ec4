// Connections under keys: who gets in, who does not, and what it costs when somebody tries.

import Bytes
import Foundation
import OnlineRuntime
import Synchronization
import Testing
import Trust

@Suite struct SecureChannelTests {
  @Test func sessionsRunUnderKeys() throws {
    let run = try KeyedParties()
    #expect(try run.expectService(session: 0))
    #expect(try run.expectService(session: 1))
    try run.stop()
    #expect(try run.states(session: 1) == [.finished, .finished])
    #expect(try run.states(session: 2) == [nil, nil])
  }

  /// Both directions carry 36 MB at the same time: no record waits for the other direction.
  @Test func wideInputsOfManyMegabytes() throws {
    let width = 70_000
    let run = try KeyedParties(inputWidth: width)
    let session = try run.begin()
    let rows = (0..<2 * width).map { UInt64($0) &* 0x9e37_79b9_7f4a_7c15 }
    let output = try session.step(rows: rows, rowCount: 2)
    #expect(output == [0, 1, width, width + 1].map { 3 &* rows[$0] })
    #expect(session.counters.party0.bytesSent == 16 + 16 + 8 * rows.count)
    try session.end()
    try run.stop()
  }

  @Test func aClientWithAnUnknownKeyIsRefused() throws {
    let run = try KeyedParties()
    let stranger = TLSContext(key: .random())
    let error = #expect(throws: InputError.self) { try run.begin(as: stranger) }
    #expect(error?.cause == "does not accept this side's key \(stranger.publicKey)")
    #expect(error?.hint.contains("--client-keys") == true)
    #expect(
      run.party0.waitForLog("has the key \(stranger.publicKey), which is not accepted here"))
    #expect(try run.expectService(session: 0))
    try run.stop()
  }

  @Test(arguments: [0, 1])
  func aPartyWithAnotherKeyIsRefusedByTheClient(wrong: Int) throws {
    let run = try KeyedParties()
    var expected = run.keys.map(\.publicKey)
    expected[wrong] = PrivateKey.random().publicKey
    let error = #expect(throws: InputError.self) { try run.begin(partyKeys: expected) }
    #expect(error?.source == "party \(wrong) at \(run.parties[wrong].address)")
    #expect(
      error?.cause == "has the key \(run.keys[wrong].publicKey), which is not accepted here")
    #expect(try run.expectService(session: 0))
    try run.stop()
  }

  /// A server that poses as party 1 gets neither the peer's place nor a session.
  @Test func aPartyWithAnUnknownKeyIsRefused() throws {
    let run = try KeyedParties()
    let folder = try TemporaryFolder()
    let intruder = try FakeParty(
      FakeProvider(party: 1), folder: folder, peer: run.party0.address
    ) {
      $0.security = .keys(
        own: TLSContext(key: .random()), peer: run.keys[0].publicKey, clients: [])
      $0.peerTimeout = .seconds(1)
    }
    let error = #expect(throws: InputError.self) { try intruder.worker.value() }
    #expect(error?.cause.contains("does not accept this side's key") == true)
    #expect(try run.expectService(session: 0))
    try run.stop()
  }

  /// A known client that says it is a party is not believed, however early it comes.
  @Test func aClientCannotPoseAsAParty() throws {
    let folder = try TemporaryFolder()
    let own = TLSContext(key: .random())
    let peer = TLSContext(key: .random())
    let client = TLSContext(key: .random())
    let party0 = try FakeParty(FakeProvider(party: 0), folder: folder) {
      $0.security = .keys(own: own, peer: peer.publicKey, clients: [client.publicKey])
      $0.peerTimeout = .seconds(30)
    }
    let intruder = try FakeParty(FakeProvider(party: 1), folder: folder, peer: party0.address) {
      $0.security = .keys(own: client, peer: own.publicKey, clients: [])
      $0.peerTimeout = .seconds(1)
    }
    #expect(throws: InputError.self) { try intruder.worker.value() }
    #expect(party0.log.contains("says that it is a party, with the key of a client"))
    #expect(!party0.log.contains("connected to"))
    try party0.stop()
  }

  @Test func aPartyCannotPoseAsAClient() throws {
    let run = try KeyedParties()
    #expect(throws: InputError.self) { try run.begin(as: run.keys[1]) }
    #expect(
      run.party0.waitForLog("says that it is a client, with the key of the other party"))
    #expect(try run.expectService(session: 0))
    try run.stop()
  }

  @Test func plainAndEncryptedEndsSaySo() throws {
    let run = try KeyedParties()
    let error = #expect(throws: InputError.self) {
      try ClientSession.begin(
        party0: run.party0.address, party1: run.party1.address, promptCount: 1, newCount: 1)
    }
    #expect(error?.cause == "closed the connection")
    #expect(error?.hint == "was it started with keys?")
    #expect(try run.expectService(session: 0))
    try run.stop()

    let folder = try TemporaryFolder()
    let plain = try FakeParty(FakeProvider(party: 0), folder: folder)
    let other = #expect(throws: InputError.self) {
      try Connection.dial(
        plain.address, security: .pinned(run.client, accepted: [run.keys[0].publicKey]))
    }
    #expect(other?.cause == "closed the connection in the TLS handshake")
    #expect(other?.hint == "was it started with keys?")
    try plain.stop()
  }

  /// OpenSSL's own client: older protocols, and no certificate.
  @Test(
    .enabled(if: OpenSSLTool.isAvailable, "openssl is not installed"),
    arguments: [
      (["-tls1_2"], "unsupported protocol"), (["-tls1_3"], "shows no key"),
      (["-tls1_3", "-sigalgs", "ECDSA+SHA256"], "no shared signature algorithms"),
      (["-tls1_3", "-groups", "P-256"], "no suitable key share"),
    ])
  func otherClientsOfTLSAreRefused(arguments: [String], cause: String) throws {
    let run = try KeyedParties()
    _ = try OpenSSLTool.run(["s_client", "-connect", "\(run.party0.address)"] + arguments)
    #expect(run.party0.waitForLog(cause), "\(run.party0.log)")
    #expect(try run.expectService(session: 0))
    try run.stop()
    #expect(try run.states(session: 1) == [nil, nil])
  }

  /// The bytes of a whole successful connection, sent again: the other side's part of the
  /// handshake is a new one, so they fit nothing.
  @Test func aReplayedConnectionGetsNothing() throws {
    let taps = Taps()
    let run = try KeyedParties { address in
      try taps.add(Wiretap(to: address.port))
    }
    #expect(try run.expectService(session: 0))
    let recording = taps.all[0].bytes
    #expect(recording.count > 1000)
    for party in run.parties {
      let again = try RawSocket(port: party.address.port)
      again.send(recording)
      #expect(again.isClosed(withinSeconds: 8))
    }
    #expect(run.party0.log.contains("dropped 127.0.0.1"))
    #expect(try run.expectService(session: 1))
    try run.stop()
    #expect(try run.states(session: 2) == [nil, nil])
  }

  /// One changed byte on the way ends the session; it is burned, and the next one is served.
  @Test func changedBytesAreNoticed() throws {
    let taps = Taps()
    let isDone = Atomic(false)
    let run = try KeyedParties(inputWidth: 2000) { address in
      try taps.add(
        Wiretap(to: address.port) { bytes, before in
          // Far beyond the handshake and the hello: inside the first opening, which has 16 kB.
          guard before + bytes.count > 8000,
            isDone.compareExchange(
              expected: false, desired: true, ordering: .acquiringAndReleasing
            ).exchanged
          else { return }
          bytes[max(0, 8000 - before)] ^= 1
        })
    }
    let session = try run.begin()
    let error = #expect(throws: InputError.self) {
      try session.step(rows: [UInt64](repeating: 1, count: 2000), rowCount: 1)
    }
    #expect(error?.source.contains("party") == true)
    #expect(run.party0.waitForLog("TLS failed: decryption failed or bad record mac"))
    #expect(try run.expectService(session: 1))
    try run.stop()
    #expect(try run.states(session: 0) == [.burned, .burned])
  }

  /// Connections that say nothing, or half of something, or one byte now and then, are given up in
  /// time, and meanwhile everybody else is served at once.
  @Test func halfOpenConnectionsBlockNobody() throws {
    let run = try KeyedParties(handshakeTimeout: .seconds(3))
    #expect(try run.expectService(session: 0))
    let started = ContinuousClock.now
    var silent: [RawSocket] = []
    for party in run.parties {
      for _ in 0..<80 { silent.append(try RawSocket(port: party.address.port)) }
    }
    // The start of a ClientHello that promises 512 bytes, of which one comes every 100 ms.
    let slow = try run.parties.map { try RawSocket(port: $0.address.port) }
    for socket in slow { socket.send([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]) }
    let loris = Worker {
      for _ in 0..<60 {
        for socket in slow { socket.send([0x5a]) }
        Thread.sleep(forTimeInterval: 0.1)
      }
    }
    let before = ContinuousClock.now
    #expect(try run.expectService(session: 1))
    #expect(ContinuousClock.now - before < .seconds(2))
    for socket in slow + silent { #expect(socket.isClosed(withinSeconds: 8)) }
    #expect(ContinuousClock.now - started < .seconds(8))
    #expect(run.party1.log.contains("did not finish the TLS handshake in time"))
    try loris.value()
    #expect(try run.expectService(session: 2))
    try run.stop()
  }

  @Test func garbageCostsNothing() throws {
    let run = try KeyedParties()
    for party in run.parties {
      for bytes in [
        Array("GET / HTTP/1.1\r\n\r\n".utf8), [UInt8](repeating: 0xff, count: 100_000),
        [UInt8](repeating: 0, count: 100),
        [0x16, 3, 1, 0xff, 0xff] + [UInt8](repeating: 1, count: 70_000),
        [0x4c, 0x57, 4, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0] + Array("{}".utf8),
      ] {
        let stranger = try RawSocket(port: party.address.port)
        stranger.send(bytes)
        #expect(stranger.isClosed(withinSeconds: 8))
      }
    }
    #expect(try run.expectService(session: 0))
    try run.stop()
    #expect(try run.states(session: 1) == [nil, nil])
  }
}

/// Keeps the wiretaps that a closure makes.
final class Taps {
  private(set) var all: [Wiretap] = []

  deinit { for tap in all { tap.stop() } }

  func add(_ tap: Wiretap) throws -> Address {
    all.append(tap)
    return try Address("127.0.0.1:\(tap.port)")
  }
}

/// Debian's openssl, as a client that is not ours.
enum OpenSSLTool {
  static let path = "/usr/bin/openssl"
  static let isAvailable = FileManager.default.isExecutableFile(atPath: path)

  static func run(_ arguments: [String]) throws -> Int32 {
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }
}
