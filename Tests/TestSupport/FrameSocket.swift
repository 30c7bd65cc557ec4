// A socket that speaks Lodge's frames, or something like them, from the text of formats/wire.md.

import Bytes
import Glibc
import Synchronization

/// One end of a plain TCP connection, in the hands of a test.
public final class FrameSocket: Sendable {
  /// Types of frames.
  public enum Kind: UInt8, Sendable {
    case hello = 1
    case begin, seed, waiting, ready, refusal, step, output, end, proposal, acceptance, words, used
    case clients, decline, keys, lanes
  }

  public struct Frame {
    public var kind: UInt8
    public var payload: [UInt8]
    public var text: String { String(decoding: payload, as: UTF8.self) }
  }

  private static let version: UInt8 = 4

  /// The head of a client's first `step`: index 0, `rowCount` rows, none that stay, one output.
  public static func firstStep(rowCount: Int) -> [UInt8] {
    [0, rowCount, 0, 1].flatMap { number in
      (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
  }

  public let descriptor: Int32
  /// Number of the next frame.
  private let sequence = Atomic<UInt32>(0)

  /// Connects to a port of this machine.
  ///
  /// - Parameter receiveByteCount: Size of the buffer for what the other side sends.
  public init(port: UInt16, receiveByteCount: Int32 = 0) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    if receiveByteCount > 0 { set(SO_RCVBUF, receiveByteCount) }
    var name = FrameSocket.loopback(port)
    let (end, size) = (descriptor, socklen_t(MemoryLayout<sockaddr_in>.size))
    let status = unsafe withUnsafeBytes(of: &name) { bytes in
      unsafe connect(end, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, size)
    }
    guard status == 0 else { throw InputError("port \(port)", "cannot connect", system: errno) }
    limitWaiting(seconds: 20)
  }

  /// Owns an accepted connection.
  public init(owning descriptor: Int32) {
    self.descriptor = descriptor
    limitWaiting(seconds: 20)
  }

  deinit { close(descriptor) }

  static func loopback(_ port: UInt16) -> sockaddr_in {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return name
  }

  private func set(_ option: Int32, _ value: Int32) {
    var value = value
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, option, &value, socklen_t(4))
  }

  /// Sets how long a receive, or a send, waits at most.
  public func limitWaiting(seconds: Int) {
    var time = timeval(tv_sec: seconds, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      _ = unsafe setsockopt(
        descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
  }

  /// The header of the next frame with `byteCount` bytes of payload.
  public func header(_ kind: Kind, byteCount: UInt64) -> [UInt8] {
    var bytes: [UInt8] = [0x4c, 0x57, FrameSocket.version, kind.rawValue]
    let sequence = sequence.wrappingAdd(1, ordering: .relaxed).oldValue
    for shift in stride(from: UInt32(0), to: 32, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: sequence >> shift))
    }
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: byteCount >> shift))
    }
    return bytes
  }

  public func send(_ kind: Kind, _ payload: [UInt8]) throws {
    try send(header(kind, byteCount: UInt64(payload.count)) + payload)
  }

  public func send(_ kind: Kind, _ text: String) throws { try send(kind, Array(text.utf8)) }

  /// Sends bytes as they are.
  public func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.send(
          descriptor, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw InputError("frame socket", "cannot send", system: errno) }
      sent += count
    }
  }

  public func receiveBytes(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var received = 0
    while received < count {
      let more = unsafe bytes.withUnsafeMutableBytes {
        unsafe recv(descriptor, $0.baseAddress?.advanced(by: received), $0.count - received, 0)
      }
      if more == 0 { throw InputError("frame socket", "closed") }
      guard more > 0 else { throw InputError("frame socket", "cannot receive", system: errno) }
      received += more
    }
    return bytes
  }

  /// What is there; empty at the end.
  public func receiveSome() throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = unsafe bytes.withUnsafeMutableBytes {
      unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
    }
    guard count >= 0 else { throw InputError("frame socket", "cannot receive", system: errno) }
    return Array(bytes[..<count])
  }

  /// Whether the other side has closed and nothing is left to receive.
  public var isClosed: Bool {
    var byte: UInt8 = 0
    return unsafe recv(
      descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) == 0
  }

  public func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  public func receive() throws -> Frame {
    let header = try receiveBytes(16)
    let count = header[8..<16].reversed().reduce(0) { $0 << 8 | Int($1) }
    return Frame(kind: header[3], payload: try receiveBytes(count))
  }

  /// The next frame of `kind`; those of `skipped` before it are passed over.
  public func receive(_ kind: Kind, skipping skipped: Kind...) throws -> Frame {
    while true {
      let frame = try receive()
      if frame.kind == kind.rawValue { return frame }
      guard skipped.contains(where: { $0.rawValue == frame.kind }) else {
        throw InputError("frame socket", "received frame \(frame.kind): \(frame.text)")
      }
    }
  }

  /// Sends zeros until the other side closes or `limit` has passed; returns whether it has closed.
  public func flood(_ limit: Duration) -> Bool {
    let bytes = [UInt8](repeating: 0, count: 1 << 20)
    limitWaiting(seconds: 1)
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno != EAGAIN, errno != EINTR { return true }
    }
    return false
  }
}

/// A port of this machine that a test listens on.
public final class FrameListener: Sendable {
  private let descriptor: Int32
  public let port: UInt16

  public init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var name = FrameSocket.loopback(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let (end, size) = (descriptor, length)
    let status = unsafe withUnsafeMutableBytes(of: &name) { bytes in
      let pointer = unsafe bytes.assumingMemoryBound(to: sockaddr.self).baseAddress
      guard unsafe bind(end, pointer, size) == 0, listen(end, 64) == 0 else { return Int32(-1) }
      return unsafe getsockname(end, pointer, &length)
    }
    guard status == 0 else { throw InputError("listener", "cannot listen", system: errno) }
    port = UInt16(bigEndian: name.sin_port)
  }

  deinit { close(descriptor) }

  /// Ends `accept`.
  public func stop() { shutdown(descriptor, Int32(SHUT_RDWR)) }

  public func accept() throws -> FrameSocket {
    let accepted = Glibc.accept(descriptor, nil, nil)
    guard accepted >= 0 else { throw InputError("listener", "cannot accept", system: errno) }
    return FrameSocket(owning: accepted)
  }
}
