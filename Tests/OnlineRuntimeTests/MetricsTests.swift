// What a party tells of itself over HTTP, and who may ask.

import Bytes
import Foundation
import OnlineRuntime
import TestSupport
import Testing

@Suite struct MetricsTests {
  /// The answer to `request`, byte by byte as it is.
  private func ask(_ port: UInt16, _ request: String) throws -> String {
    let socket = try FrameSocket(port: port)
    try socket.send(Array(request.utf8))
    var bytes: [UInt8] = []
    while true {
      let more = try socket.receiveSome()
      if more.isEmpty { break }
      bytes += more
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func get(_ port: UInt16, _ path: String) throws -> String {
    try ask(port, "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
  }

  @Test func sessionsAreCounted() throws {
    let folder = try TemporaryFolder()
    let party0 = try FakeParty(FakeProvider(party: 0, sessionCount: 4), folder: folder) {
      $0.metrics = Address(host: "127.0.0.1", port: 0)
    }
    let port = try #require(party0.service.metricsAddress?.port)
    #expect(party0.waitForLog("tells metrics at http://127.0.0.1:\(port)/metrics"))
    #expect(party0.log.contains("has 4 unused sessions: 4 for 64 + 8 tokens"))
    let early = try get(port, "/healthz")
    #expect(early.hasPrefix("HTTP/1.1 503 ") && early.contains("waiting for party 1"))
    let party1 = try FakeParty(
      FakeProvider(party: 1, sessionCount: 4), folder: folder, peer: party0.address)
    func begin() throws -> ClientSession {
      try ClientSession.begin(
        party0: party0.address, party1: party1.address, promptCount: 2, newCount: 4)
    }
    let first = try begin()
    #expect(try get(port, "/healthz").hasSuffix("\r\n\r\nok\n"))
    let row = (0..<fakeInputWidth).map { UInt64($0) }
    _ = try first.step(rows: row + row, rowCount: 2)
    _ = try first.step(rows: row, rowCount: 1)
    try first.end()
    for _ in 0..<1 { _ = try begin() }
    #expect(party0.waitForLog("session 1 of batch beef burned"))
    let third = try begin()
    let text = try get(port, "/metrics")
    for line in [
      "lodge_peer_connected 1", "lodge_sessions_running 1", "lodge_sessions_finished_total 1",
      "lodge_sessions_burned_total 1", "lodge_rows_total 3", "lodge_step_seconds_count 2",
      #"lodge_step_seconds_bucket{le="+Inf"} 2"#, "lodge_clients_waiting 0",
      "lodge_bytes_sent_total \(2 * (16 + 16) + 3 * 8 * fakeInputWidth)",
      "# TYPE lodge_step_seconds histogram",
    ] {
      #expect(text.contains("\n\(line)\n"), "\(line)")
    }
    #expect(text.contains("\nlodge_sessions_ready "))
    // Every line is a comment or a name with a number.
    let body = try #require(text.components(separatedBy: "\r\n\r\n").last)
    for line in body.split(separator: "\n") where !line.hasPrefix("#") {
      #expect(line.wholeMatch(of: /lodge_[a-z0-9_]+(\{le="[^"]+"\})? [0-9.e+-]+/) != nil, "\(line)")
    }
    try third.end()
    try party0.stop()
    try party1.stop()
  }

  /// Parties that have met and have no session left serve nobody.
  @Test func anEmptyStockIsNotHealthy() throws {
    let folder = try TemporaryFolder()
    let party0 = try FakeParty(FakeProvider(party: 0, sessionCount: 0), folder: folder) {
      $0.metrics = Address(host: "127.0.0.1", port: 0)
    }
    let port = try #require(party0.service.metricsAddress?.port)
    let party1 = try FakeParty(
      FakeProvider(party: 1, sessionCount: 0), folder: folder, peer: party0.address)
    var health = ""
    for _ in 0..<100 where !health.contains("no session is left") {
      Thread.sleep(forTimeInterval: 0.05)
      health = try get(port, "/healthz")
    }
    #expect(health.hasPrefix("HTTP/1.1 503 ") && health.contains("no session is left"))
    try party0.stop()
    try party1.stop()
  }

  /// Whatever is asked, the party goes on, and the next question is answered.
  @Test func hostileQuestionsCostNothing() throws {
    let folder = try TemporaryFolder()
    let party0 = try FakeParty(FakeProvider(party: 0), folder: folder) {
      $0.metrics = Address(host: "127.0.0.1", port: 0)
    }
    let port = try #require(party0.service.metricsAddress?.port)
    for (request, status) in [
      ("GET / HTTP/1.1\r\n\r\n", "404"), ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
      ("\r\n\r\n", "400"), ("GET /metrics\r\n\r\n", "400"),
      ("\u{0}\u{1}\u{ff} x HTTP/2\n\n", "400"),
      ("GET /\(String(repeating: "a", count: 5000))", "431"),
    ] {
      #expect(try ask(port, request).hasPrefix("HTTP/1.1 \(status) "), "\(request.prefix(40))")
    }
    #expect(try ask(port, "HEAD /metrics HTTP/1.1\r\n\r\n").hasSuffix("\r\n\r\n"))
    // More than there are places for say nothing; the oldest give way.
    let silent = try (0..<40).map { _ in try FrameSocket(port: port) }
    #expect(try get(port, "/metrics").hasPrefix("HTTP/1.1 200 "))
    withExtendedLifetime(silent) {}
    try party0.stop()
  }
}
