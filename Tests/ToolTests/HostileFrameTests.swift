// Frames that may not come, in every state of the protocol: a party keeps nothing of them.

import Bytes
import Foundation
import OnlineRuntime
import TestSupport
import Testing

@Suite struct HostileFrameTests {
  /// What a party's connection is about when the frame comes.
  enum State: CaseIterable {
    case clientBeforeHello, clientBeforeBegin, clientBeforeSeed, clientWaiting, clientInSession
    case clientAfterEnd
    case peerBeforeHello, peerBeforeUsed, peerIdle, peerAfterProposal, peerInSession, peerInStep
    case peerAfterEnd
    case laneBeforeHello, laneIdle
  }

  /// A party in the hands of a test, which plays its client and the other party.
  private final class Stage {
    let servers: Servers
    let party: Int
    let process: PartyProcess
    let port: UInt16
    /// The tester's port in party 0's place.
    private let listener: FrameListener
    /// What the party says of itself.
    private let hello: String
    private let inputWidth: Int
    private var session = 0
    private var clientCount = 0
    /// Of the last client; each has one of its own.
    private var request: String { String(format: "%032x", clientCount) }
    private let batch: String
    /// The name of the last meeting, in party 0's place.
    private var meeting = ""

    init(party: Int) throws {
      let folder = try ScratchFolder()
      try FileManager.default.copyItem(
        atPath: "\(try Tiny.first.get())/shares", toPath: folder.file("shares"))
      try Tiny.deal(folder.path, into: folder.file("correlations"), sessions: 40)
      servers = Servers(converted: folder)
      self.party = party
      listener = try FrameListener()
      batch = try servers.batch()
      process = try PartyProcess(
        servers, party, peer: party == 0 ? "127.0.0.1:0" : "127.0.0.1:\(listener.port)")
      port = try Address(process.address).port
      let asking = try FrameSocket(port: port)
      try asking.send(.hello, #"{"role": "client"}"#)
      hello = try asking.receive(.hello).text
      var reader = try JSONReader(
        JSON.parse(Array(hello.utf8), source: "hello"), source: "hello")
      inputWidth = try reader.integer("inputWidth")
      // A party that has met the other one does not give up.
      _ = try peer(.peerIdle)
    }

    func client(_ state: State) throws -> FrameSocket {
      let client = try FrameSocket(port: port)
      clientCount += 1
      if state == .clientBeforeHello { return client }
      try client.send(.hello, #"{"role": "client"}"#)
      _ = try client.receive(.hello)
      if state == .clientBeforeBegin { return client }
      try client.send(
        .begin, #"{"request": "\#(request)", "prompt": 1, "new": 1}"#)
      if party == 1, state != .clientBeforeSeed {
        try client.send(.seed, [UInt8](repeating: 3, count: 32))
      }
      if state != .clientBeforeSeed { _ = try client.receive(.waiting) }
      return client
    }

    /// The other party, as far as `state` is concerned; party 1 is retried until it dials again.
    func peer(_ state: State) throws -> FrameSocket {
      let other = hello.replacingOccurrences(
        of: #""party":\#(party)"#, with: #""party":\#(1 - party)"#)
      let peer: FrameSocket
      if party == 0 {
        peer = try FrameSocket(port: port)
        if state == .peerBeforeHello { return peer }
        try peer.send(.hello, other)
        _ = try peer.receive(.hello)
      } else {
        peer = try acceptLiving()
        if state == .peerBeforeHello { return peer }
        try peer.send(.hello, other)
      }
      if party == 0 { try awaitUsed(peer) }
      if state == .peerBeforeUsed { return peer }
      try peer.send(.used, #"{"batch": "", "ranges": [], "more": false}"#)
      if party == 1 {
        try awaitUsed(peer)
        meeting = String(format: "%032x", Int.random(in: 0..<Int.max))
        try peer.send(.lanes, #"{"meeting": "\#(meeting)", "count": 1}"#)
        _ = try peer.receive(.clients)
      }
      return peer
    }

    /// A lane of the meeting that `peer` began.
    func lane(_ peer: FrameSocket, _ state: State = .laneIdle) throws -> FrameSocket {
      let name = #/"meeting": ?"([0-9a-f]+)"/#
      if party == 0 {
        let lanes = try peer.receive(.lanes).text
        let meeting = try #require(lanes.firstMatch(of: name)).1
        let lane = try FrameSocket(port: port)
        if state == .laneBeforeHello { return lane }
        try lane.send(.hello, #"{"role": "lane", "meeting": "\#(meeting)"}"#)
        _ = try lane.receive(.hello)
        return lane
      }
      while true {
        let lane = try listener.accept()
        let hello = try lane.receive(.hello)
        guard hello.text.contains(meeting) else { continue }
        if state != .laneBeforeHello { try lane.send(.hello, hello.payload) }
        return lane
      }
    }

    /// The connection that party 1 has dialled last: it gives up those that nobody answers, and the lanes
    /// of what is over.
    private func acceptLiving() throws -> FrameSocket {
      while true {
        let peer = try listener.accept()
        let isLane = try peer.receive(.hello).text.contains("lane")
        if !isLane, !peer.isClosed { return peer }
      }
    }

    private func awaitUsed(_ peer: FrameSocket) throws {
      while try peer.receive(.used).text.contains(#""more":true"#) {}
    }

    /// Goes to `state` and returns the connection on which the frame shall come, with what must
    /// stay open meanwhile.
    func enter(_ state: State) throws -> (FrameSocket, [FrameSocket]) {
      switch state {
      case .clientBeforeHello, .clientBeforeBegin, .clientBeforeSeed:
        return (try client(state), [])
      case .clientWaiting:
        let peer = try peer(.peerIdle)
        return (try client(state), [peer])
      case .peerBeforeHello, .peerBeforeUsed, .peerIdle: return (try peer(state), [])
      case .laneBeforeHello, .laneIdle:
        let peer = try peer(.peerIdle)
        return (try lane(peer, state), [peer])
      case .peerAfterProposal, .clientInSession, .clientAfterEnd, .peerInSession, .peerInStep,
        .peerAfterEnd:
        let control = try peer(.peerIdle)
        let peer = try lane(control)
        let client = try client(.clientWaiting)
        if state == .peerAfterProposal, party == 1 { return (peer, [client, control]) }
        try agree(control, peer, state)
        if state == .peerAfterProposal { return (peer, [client, control]) }
        _ = try client.receive(.ready, skipping: .waiting)
        switch state {
        case .clientInSession: return (client, [peer, control])
        case .peerInSession: return (peer, [client, control])
        case .peerInStep:
          try sendStep(client)
          _ = try peer.receive(.words)
          return (peer, [client, control])
        default:
          try client.send(.end, #"{"finished": true, "reason": ""}"#)
          _ = try peer.receive(.end)
          if state == .peerAfterEnd { return (peer, [client, control]) }
          return (client, [peer, control])
        }
      }
    }

    func sendStep(_ client: FrameSocket) throws {
      var step = FrameSocket.firstStep(rowCount: 1)
      if party == 0 { step += [UInt8](repeating: 0, count: 8 * inputWidth) }
      try client.send(.step, step)
    }

    /// Has the party claim a session for the client.
    private func agree(_ control: FrameSocket, _ lane: FrameSocket, _ state: State) throws {
      let client =
        #""request": "\#(request)", "prompt": 1, "new": 1, "client": """#
      if party == 0 {
        try control.send(.clients, "{\"clients\": [{\(client)}]}")
        let proposal = try lane.receive(.proposal)
        if state == .peerAfterProposal { return }
        var reader = try JSONReader(
          JSON.parse(proposal.payload, source: "proposal"), source: "proposal")
        let batch = try reader.string("batch")
        try lane.send(
          .acceptance, #"{"batch": "\#(batch)", "session": \#(try reader.integer("session"))}"#)
      } else {
        _ = try control.receive(.clients)
        try lane.send(
          .proposal, "{\(client), \"batch\": \"\(batch)\", \"session\": \(session)}")
        session += 1
        _ = try lane.receive(.acceptance)
      }
    }
  }

  /// A terabyte of data, a terabyte of something unexpected, and a control frame that may not come.
  @Test(arguments: [0, 1])
  func framesThatMayNotComeCostNoMemory(party: Int) throws {
    let stage = try Stage(party: party)
    for state in State.allCases where party == 1 || state != .clientBeforeSeed {
      for (kind, byteCount) in [
        (FrameSocket.Kind.words, UInt64(1) << 40), (.output, 1 << 40), (.begin, 65_537),
      ] {
        // What comes after the end is read away for some seconds, whatever it is.
        if state == .clientAfterEnd || state == .peerAfterEnd, kind != .words { continue }
        // One control frame that is too long, or cannot come, is like another.
        if kind == .begin, state != .clientBeforeHello, state != .peerIdle { continue }
        let before = try stage.process.tool.peakMemory()
        let (socket, others) = try stage.enter(state)
        try socket.send(socket.header(kind, byteCount: byteCount))
        // An opening may come before the client's step has; how long it may be, the step tells.
        if state == .peerInSession, kind == .words { try stage.sendStep(others[0]) }
        let isClosed = socket.flood(.seconds(14))
        let after = try stage.process.tool.peakMemory()
        #expect(isClosed, "\(state), \(kind)")
        #expect(after - before < 32 << 20, "\(state), \(kind): \((after - before) >> 20) MiB")
        withExtendedLifetime(others) {}
      }
    }
    // It serves as before.
    #expect(stage.process.tool.isRunning)
    try stage.process.stop()
  }
}
