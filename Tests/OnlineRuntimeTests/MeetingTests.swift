// Clients that come to one party alone, or to both as somebody else: they cost nobody anything.

import Bytes
import Foundation
import OnlineRuntime
import Synchronization
import TestSupport
import Testing

@Suite struct MeetingTests {
  /// Sessions that parties have opened, in order.
  private final class Opened: Sendable {
    private let list = Mutex<[Int]>([])
    var sessions: [Int] { list.withLock { $0 } }
    func add(_ session: Int) { list.withLock { $0.append(session) } }
  }

  /// A client that says what it wants to `party` alone.
  private func half(_ party: FakeParty, request: String) throws -> FrameSocket {
    let socket = try FrameSocket(port: party.address.port)
    try socket.send(.hello, #"{"role": "client"}"#)
    let hello = try socket.receive(.hello)
    try socket.send(.begin, #"{"request": "\#(request)", "prompt": 2, "new": 4}"#)
    if hello.text.contains(#""party":1"#) {
      try socket.send(.seed, [UInt8](repeating: 7, count: 32))
    }
    return socket
  }

  private func request(_ number: Int) -> String {
    String(repeating: "0", count: 31) + String(number, radix: 16)
  }

  /// Six of them at each party: the seventh client, which comes to both, is served at once, and no
  /// session was opened for any of the others.
  @Test func clientsAtOnePartyHoldNobodyUp() throws {
    let folder = try TemporaryFolder()
    let opened = Opened()
    func start(_ party: Int, peer: Address?) throws -> FakeParty {
      var provider = FakeProvider(party: party)
      provider.willOpen = { session throws(SessionFault) in opened.add(session) }
      return try FakeParty(provider, folder: folder, peer: peer) {
        $0.meetingTimeout = .seconds(3)
      }
    }
    let party0 = try start(0, peer: nil)
    let party1 = try start(1, peer: party0.address)
    #expect(party0.waitForLog("connected to party 1"))
    let halves = try (0..<6).map { try half(party0, request: request($0)) }
    let others = try (6..<12).map { try half(party1, request: request($0)) }
    Thread.sleep(forTimeInterval: 0.5)
    #expect(opened.sessions.isEmpty)
    let start = ContinuousClock.now
    let client = try ClientSession.begin(
      party0: party0.address, party1: party1.address, promptCount: 2, newCount: 4)
    #expect(ContinuousClock.now - start < .seconds(1))
    #expect(client.key.session == 0)
    #expect(opened.sessions == [0, 0])
    try client.end()
    // In the end they are told what is the matter.
    for socket in halves {
      let refusal = try socket.receive(.refusal, skipping: .waiting)
      #expect(refusal.text.contains("the client did not reach party 1"))
    }
    #expect(opened.sessions == [0, 0])
    withExtendedLifetime(others) {}
    try party0.stop()
    try party1.stop()
    for party in 0..<2 { #expect(try ledgerState(folder, party: party, session: 1) == nil) }
  }

  /// A request that party 1 knows from the holder of another key is another client's.
  @Test func theSameRequestUnderAnotherKeyIsAnotherClient() throws {
    let folder = try TemporaryFolder()
    let opened = Opened()
    var provider = FakeProvider(party: 0)
    provider.willOpen = { session throws(SessionFault) in opened.add(session) }
    let party0 = try FakeParty(provider, folder: folder)
    let client = try half(party0, request: request(1))
    let peer = try PeerSocket(ofPartyZero: party0.address.port)
    let lane = try peer.lane()
    func clients(_ key: String) -> String {
      #"{"clients": [{"request": "\#(request(1))", "prompt": 2, "new": 4, "client": "\#(key)"}]}"#
    }
    try peer.socket.send(.clients, clients(String(repeating: "0f", count: 32)))
    Thread.sleep(forTimeInterval: 0.5)
    #expect(opened.sessions.isEmpty)
    try peer.socket.send(.clients, clients(""))
    #expect(!party0.log.contains("error"), "\(party0.log)")
    let proposal = try lane.receive(.proposal)
    #expect(proposal.text.contains(request(1)))
    // Declined, the session is as good as new, at both.
    try lane.send(.decline, #"{"fault": "client", "reason": "it left", "hint": ""}"#)
    let refusal = try client.receive(.refusal, skipping: .waiting)
    #expect(refusal.text.contains("it left"))
    try party0.stop()
    #expect(try ledgerState(folder, party: 0, session: 0) == nil)
  }

  /// A lane of no meeting, or of one that is over, is refused; so is any at party 1.
  @Test func lanesBelongToTheMeeting() throws {
    let folder = try TemporaryFolder()
    let party0 = try FakeParty(FakeProvider(party: 0), folder: folder)
    func open(_ meeting: String) throws -> FrameSocket {
      let lane = try FrameSocket(port: party0.address.port)
      try lane.send(.hello, #"{"role": "lane", "meeting": "\#(meeting)"}"#)
      return lane
    }
    let anything = String(repeating: "0", count: 32)
    #expect(try open(anything).receive(.refusal).text.contains("no meeting"))
    var meeting = ""
    for _ in 0..<1 {
      let peer = try PeerSocket(ofPartyZero: party0.address.port)
      _ = try peer.lane()
      meeting = peer.meeting
      #expect(try open(anything).receive(.refusal).text.contains("no meeting"))
    }
    #expect(party0.waitForLog("lost party 1"))
    #expect(try open(meeting).receive(.refusal).text.contains("no meeting"))
    let again = try PeerSocket(ofPartyZero: party0.address.port)
    #expect(again.meeting != meeting)
    #expect(try open(meeting).receive(.refusal).text.contains("no meeting"))
    try party0.stop()
  }

  /// One client that takes every place in the queue loses them to others.
  @Test func aGreedyClientGivesWay() throws {
    let folder = try TemporaryFolder()
    let party0 = try FakeParty(FakeProvider(party: 0), folder: folder)
    var waiting: [FrameSocket] = []
    for number in 0..<64 {
      let name = String(format: "%032x", number)
      waiting.append(try half(party0, request: name))
      _ = try waiting[number].receive(.waiting)
    }
    // Without keys all of this machine are one client: it cannot take more, nor push itself out.
    let late = try half(party0, request: String(repeating: "f", count: 32))
    let refusal = try late.receive(.refusal).text
    #expect(refusal.contains("busy: too many clients are waiting here"))
    #expect(refusal.contains(#""retry":true"#) && refusal.contains("ask again in a minute"))
    let twice = try half(party0, request: String(format: "%032x", 3))
    #expect(try twice.receive(.refusal).text.contains("waits here already"))
    try party0.stop()
  }
}

/// A test in party 1's place.
struct PeerSocket {
  let socket: FrameSocket
  private let port: UInt16
  /// What lanes name.
  let meeting: String

  /// Dials party 0 and says that its ledger is empty.
  init(ofPartyZero port: UInt16) throws {
    // What party 1 has to say of itself is what party 0 says, but for its number.
    let asking = try FrameSocket(port: port)
    try asking.send(.hello, #"{"role": "client"}"#)
    let hello = try asking.receive(.hello).text
    socket = try FrameSocket(port: port)
    try socket.send(
      .hello, hello.replacingOccurrences(of: #""party":0"#, with: #""party":1"#))
    _ = try socket.receive(.hello)
    while try socket.receive(.used).text.contains(#""more":true"#) {}
    try socket.send(.used, #"{"batch": "", "ranges": [], "more": false}"#)
    self.port = port
    let lanes = try socket.receive(.lanes).text
    meeting = try #require(lanes.firstMatch(of: /"meeting":"([0-9a-f]{32})"/)).1.description
  }

  /// Opens a lane.
  func lane() throws -> FrameSocket {
    let lane = try FrameSocket(port: port)
    try lane.send(.hello, #"{"role": "lane", "meeting": "\#(meeting)"}"#)
    #expect(try lane.receive(.hello).text.contains(meeting))
    return lane
  }
}
