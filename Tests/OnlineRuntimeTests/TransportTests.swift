// Addresses, listeners and the framed connection over loopback.

import Bytes
import Foundation
import Glibc
import OnlineRuntime
import Testing

@Suite struct AddressTests {
  @Test(arguments: [
    ("localhost:9000", "localhost", 9000, "localhost:9000"),
    ("127.0.0.1:0", "127.0.0.1", 0, "127.0.0.1:0"),
    ("[::1]:65535", "::1", 65535, "[::1]:65535"),
  ])
  func parses(text: String, host: String, port: Int, printed: String) throws {
    let address = try Address(text)
    #expect(address.host == host)
    #expect(Int(address.port) == port)
    #expect(address.description == printed)
  }

  @Test(arguments: ["", "host", ":1", "host:", "host:65536", "host:-1", "::1:9", "[]:9", "[::1:9"])
  func refuses(text: String) { #expect(throws: InputError.self) { try Address(text) } }
}

/// Two connected ends on loopback.
func connectedPair() throws -> (Connection, Connection) {
  let listener = try Listener(Address("127.0.0.1:0"))
  let address = listener.address
  let dialer = Worker { try Connection.dial(address) }
  let accepted = try #require(listener.accept(milliseconds: 5000))
  return (try dialer.value(), accepted)
}

@Suite struct ConnectionTests {
  @Test(arguments: [(0, 0), (1, 3), (100, 0), (8191, 8193)])
  func exchangesWords(first: Int, second: Int) throws {
    let (left, right) = try connectedPair()
    let leftWords = (0..<first).map { UInt64($0) &* 0x9e37_79b9_7f4a_7c15 }
    let rightWords = (0..<second).map { ~UInt64($0) }
    let other = Worker { try right.exchange(rightWords, incomingCount: first) }
    #expect(try left.exchange(leftWords, incomingCount: second) == rightWords)
    #expect(try other.value() == leftWords)
    #expect(left.counters.rounds == 1)
    // Who has no words sends no frame.
    func byteCount(_ count: Int) -> Int { count == 0 ? 0 : 16 + 8 * count }
    #expect(left.counters.bytesSent == byteCount(first))
    #expect(left.counters.bytesReceived == byteCount(second))
    #expect(right.counters.bytesSent == byteCount(second))
  }

  @Test func bothSendMegabytesAtOnce() throws {
    let (left, right) = try connectedPair()
    let count = 4_000_000
    let words = (0..<count).map { UInt64($0) }
    let other = Worker {
      var sum: UInt64 = 0
      for _ in 0..<3 { sum &+= try right.exchange(words, incomingCount: count)[count - 1] }
      return sum
    }
    for _ in 0..<3 { #expect(try left.exchange(words, incomingCount: count) == words) }
    #expect(try other.value() == 3 * UInt64(count - 1))
    #expect(left.counters.rounds == 3)
  }

  @Test func manySmallRounds() throws {
    let (left, right) = try connectedPair()
    let rounds = 5000
    let other = Worker {
      for round in 0..<rounds { _ = try right.exchange([UInt64(round)], incomingCount: 1) }
    }
    let start = ContinuousClock.now
    for round in 0..<rounds {
      #expect(try left.exchange([0], incomingCount: 1) == [UInt64(round)])
    }
    // Delayed acknowledgements or Nagle's algorithm would cost 40 ms a round.
    let perRound = (ContinuousClock.now - start) / rounds
    print("one exchange over loopback: \(perRound)")
    #expect(perRound < .milliseconds(5))
    try other.value()
  }

  @Test func aDisagreementOnTheLengthIsNamed() throws {
    let (left, right) = try connectedPair()
    let other = Worker { try right.exchange([1, 2, 3], incomingCount: 1) }
    let error = #expect(throws: InputError.self) { try left.exchange([7], incomingCount: 4) }
    #expect(error?.cause == "sent 3 words where 4 were expected")
    #expect(left.isBroken)
    _ = try? other.value()
  }

  @Test func aPeerThatLeavesIsNoticedAtOnce() throws {
    let (left, right) = try connectedPair()
    let start = ContinuousClock.now
    let waiting = Worker { try left.exchange([1], incomingCount: 1) }
    Thread.sleep(forTimeInterval: 0.1)
    right.close()
    let error = #expect(throws: InputError.self) { try waiting.value() }
    #expect(error?.source == left.label)
    #expect(error?.cause == "closed the connection")
    #expect(left.isClosedByPeer)
    #expect(ContinuousClock.now - start < .seconds(2))
  }

  @Test func aSilentPeerIsGivenUp() throws {
    let (left, right) = try connectedPair()
    left.progressTimeout = .milliseconds(300)
    let error = #expect(throws: InputError.self) { try left.exchange([1], incomingCount: 1) }
    #expect(error?.cause.hasPrefix("silent for") == true)
    withExtendedLifetime(right) {}
  }

  @Test func theSlowerPartyMayComputeForLong() throws {
    // The faster one fills both socket buffers and waits with its window closed.
    let (left, right) = try connectedPair()
    let count = 4_000_000
    let fast = Worker {
      try left.exchange([UInt64](repeating: 5, count: count), incomingCount: 1)
    }
    Thread.sleep(forTimeInterval: 10)
    #expect(try right.exchange([9], incomingCount: count).count == count)
    #expect(try fast.value() == [9])
  }

  @Test func garbageIsNotAFrame() throws {
    let listener = try Listener(Address("127.0.0.1:0"))
    let descriptor = try RawSocket(port: listener.address.port)
    let accepted = try #require(listener.accept(milliseconds: 5000))
    descriptor.send(Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
    let error = #expect(throws: InputError.self) { try accepted.exchange([], incomingCount: 1) }
    #expect(error?.cause == "does not speak Lodge's protocol")
  }

  @Test(arguments: [
    (1, UInt64(1) << 62, "sent 576460752303423488 words where 1 were expected"),
    (0, 8, "sent frame number 7, expected 0"),
    (3, 8, "speaks protocol version 9, this is version 4"),
    (2, 8, "sent a frame of unknown type 99"),
    (4, 70_000, "announced a control frame of 70000 bytes"),
  ])
  func hostileHeaders(kind: Int, length: UInt64, cause: String) throws {
    let listener = try Listener(Address("127.0.0.1:0"))
    let raw = try RawSocket(port: listener.address.port)
    let accepted = try #require(listener.accept(milliseconds: 5000))
    let type: UInt8 = kind == 2 ? 99 : kind == 4 ? 9 : 12
    var bytes: [UInt8] = [0x4c, 0x57, kind == 3 ? 9 : 4, type, kind == 0 ? 7 : 0, 0, 0, 0]
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: length >> shift))
    }
    raw.send(bytes)
    let error = #expect(throws: InputError.self) { try accepted.exchange([], incomingCount: 1) }
    #expect(error?.cause == cause)
  }

  /// Bytes of several frames that come at once, or of one in pieces, are taken in their order.
  @Test func framesComeTogetherAndInPieces() throws {
    let listener = try Listener(Address("127.0.0.1:0"))
    let raw = try RawSocket(port: listener.address.port)
    let accepted = try #require(listener.accept(milliseconds: 5000))
    let words = (0..<100_000).map { UInt64($0) &* 0x9e37_79b9_7f4a_7c15 }
    let payload = words.flatMap { word in
      (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
    }
    func frame(_ type: UInt8, _ sequence: UInt8, _ payload: [UInt8]) -> [UInt8] {
      let length = (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> ($0 * 8)) }
      return [0x4c, 0x57, 4, type, sequence, 0, 0, 0] + length + payload
    }
    // Where 50 words are awaited: the end of the session and all that follows it.
    let end = frame(9, 0, Array(#"{"finished":false,"reason":"enough"}"#.utf8))
    raw.send(end + frame(12, 1, Array(payload.prefix(16))) + frame(12, 2, Array(payload.prefix(8))))
    let error = #expect(throws: InputError.self) { try accepted.exchange([1], incomingCount: 50) }
    #expect(error?.cause.contains("enough") == true, "\(String(describing: error))")
    #expect(try accepted.exchange([], incomingCount: 2) == Array(words.prefix(2)))
    #expect(try accepted.exchange([], incomingCount: 1) == Array(words.prefix(1)))
    let large = frame(12, 3, payload)
    let sender = Worker {
      // In the middle of the header, and of what is received together with it.
      for cut in [0..<7, 7..<20, 20..<60_000, 60_000..<large.count] {
        raw.send(Array(large[cut]))
        Thread.sleep(forTimeInterval: 0.02)
      }
    }
    #expect(try accepted.exchange([], incomingCount: words.count) == words)
    try sender.value()
    #expect(accepted.counters.framesReceived == 4)
    #expect(
      accepted.counters.bytesReceived == end.count + 2 * 16 + 24 + large.count)
  }

  /// Whoever waits stays awake for the short waits only; both kinds give the same words.
  @Test func shortAndLongWaitsGiveTheSame() throws {
    let (left, right) = try connectedPair()
    left.sleepWhileWaiting()
    let other = Worker {
      for round in 0..<200 {
        if round % 50 == 49 { Thread.sleep(forTimeInterval: 0.003) }
        let words = try right.exchange([UInt64(round)], incomingCount: 2)
        #expect(words == [1, UInt64(round)])
      }
    }
    for round in 0..<200 {
      #expect(try left.exchange([1, UInt64(round)], incomingCount: 1) == [UInt64(round)])
    }
    try other.value()
    #expect(left.counters.rounds == 200 && right.counters.rounds == 200)
  }

  @Test func aPortInUseIsNamed() throws {
    let listener = try Listener(Address("127.0.0.1:0"))
    let error = #expect(throws: InputError.self) { try Listener(listener.address) }
    #expect(error?.source == listener.address.description)
    #expect(error?.cause == "the port is in use")
  }

  @Test func nobodyListens() throws {
    let listener = try Listener(Address("127.0.0.1:0"))
    let address = listener.address
    listener.close()
    let error = #expect(throws: InputError.self) { try Connection.dial(address, seconds: 1) }
    #expect(error?.source == address.description)
  }
}

/// A socket that sends what a test wants, outside the protocol.
final class RawSocket: Sendable {
  let descriptor: Int32

  static func loopback(port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
  }

  init(port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = RawSocket.loopback(port: port)
    let status = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else { throw InputError("port \(port)", "cannot connect") }
  }

  deinit { close(descriptor) }

  func send(_ bytes: [UInt8]) {
    _ = unsafe bytes.withUnsafeBytes {
      unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
  }

  /// True when the other side closes within `seconds`.
  func isClosed(withinSeconds seconds: Int) -> Bool {
    var time = timeval(tv_sec: seconds, tv_usec: 0)
    _ = unsafe setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe buffer.withUnsafeMutableBytes {
        unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
      }
      if count == 0 { return true }
      if count < 0 { return errno == ECONNRESET }
    }
  }
}
