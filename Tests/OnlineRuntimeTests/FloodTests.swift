// Strangers that knock thousands of times a second, while clients come from far away.

import Bytes
import Foundation
import OnlineRuntime
import Synchronization
import TestSupport
import Testing
import Trust

/// Opens `rate` connections a second to a port, and keeps the last ones open.
private final class Flood: Sendable {
  private let isStopped = Atomic(false)
  private let opened = Atomic(0)
  private let worker: Worker<Void>

  var count: Int { opened.load(ordering: .relaxed) }

  /// - Parameter greeting: What every other connection sends before it falls silent.
  init(port: UInt16, rate: Int, greeting: [UInt8]) {
    let box = Box()
    worker = Worker {
      let start = ContinuousClock.now
      var sockets: [FrameSocket] = []
      var next = 0
      while let flood = box.flood, !flood.isStopped.load(ordering: .relaxed) {
        let due = Int((ContinuousClock.now - start) / .seconds(1) * Double(rate))
        while next < due {
          if let socket = try? FrameSocket(port: port) {
            if next.isMultiple(of: 2) { try? socket.send(greeting) }
            sockets.append(socket)
            _ = flood.opened.wrappingAdd(1, ordering: .relaxed)
          }
          next += 1
        }
        if sockets.count > 3000 { sockets.removeFirst(sockets.count - 2000) }
        Thread.sleep(forTimeInterval: 0.002)
      }
    }
    box.flood = self
  }

  func stop() throws {
    isStopped.store(true, ordering: .relaxed)
    try worker.value()
  }

  private final class Box: Sendable {
    private let content = Mutex<Flood?>(nil)
    var flood: Flood? {
      get { content.withLock { $0 } }
      set { content.withLock { $0 = newValue } }
    }
  }
}

@Suite(.serialized) struct FloodTests {
  /// Clients 100 ms away, from the same address as the strangers, get through, and nothing is
  /// burned.
  @Test(arguments: [(rate: 200, least: 6), (rate: 2500, least: 5)])
  func distantClientsGetThroughAFlood(rate: Int, least: Int) throws {
    let taps = Taps()
    let clientCount = 6
    let run = try KeyedParties(sessionCount: 20) { try taps.add(Wiretap(to: $0.port)) }
    #expect(try run.expectService(session: 0))
    // The first flight of a real handshake, which asks a party to answer.
    let recording = taps.all[0].bytes
    let length = 5 + Int(recording[3]) << 8 + Int(recording[4])
    let relays = try run.parties.map {
      try DelayRelay(to: $0.address.port, delay: .milliseconds(100))
    }
    let floods = run.parties.map {
      Flood(port: $0.address.port, rate: rate / 2, greeting: Array(recording[..<length]))
    }
    Thread.sleep(forTimeInterval: 1)
    let start = ContinuousClock.now
    let security = ClientSecurity.keys(own: run.client, parties: run.keys.map(\.publicKey))
    let addresses = relays.map(\.address)
    let clients = (0..<clientCount).map { number in
      Worker {
        Thread.sleep(forTimeInterval: 0.2 * Double(number))
        let session = try ClientSession.begin(
          party0: addresses[0], party1: addresses[1], promptCount: 2, newCount: 4,
          security: security, timeout: .seconds(30))
        let rows = [UInt64](repeating: 5, count: fakeInputWidth)
        let output = try session.step(rows: rows, rowCount: 1)
        try session.end()
        return output == [15, 15]
      }
    }
    var served = 0
    for client in clients {
      do {
        if try client.value(seconds: 40) { served += 1 }
      } catch { print("a client did not get through: \(error)") }
    }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    for flood in floods { try flood.stop() }
    let count = floods.reduce(0) { $0 + $1.count }
    print("\(rate) a second: \(served) of \(clientCount) in \(seconds) s, \(count) strangers")
    #expect(served >= least)
    #expect(Double(count) > 0.5 * Double(rate) * seconds)
    for relay in relays { relay.close() }
    try run.stop()
    for session in 0...clientCount {
      for state in try run.states(session: session) { #expect(state != .burned) }
    }
    for party in run.parties {
      #expect(party.log.components(separatedBy: "dropped ").count < 3 * StrangerLog.lineCount)
    }
  }
}
