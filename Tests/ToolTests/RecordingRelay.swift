// Stands between two parties, forwards their frames, and keeps a record of what was opened.

import Bytes
import Foundation
import Glibc
import OnlineRuntime
import Synchronization

/// A relay that party 1 dials in place of party 0.
///
/// It forwards whole frames. Each is noted as soon as its header has come: from then on the sender
/// has used what it opens, even if it dies in the middle of it.
final class RecordingRelay: Sendable {
  /// One message with which a party opens masked values.
  struct Opening: Hashable {
    var party: Int
    var batch: String
    var session: Int
    /// Number of the opening in its session; with the program it says which rows of which masks.
    var index: Int
  }

  struct Record {
    var openings: Set<Opening> = []
    /// Openings that were sent a second time.
    var repeated: Set<Opening> = []
    /// The clients' requests for which something of a session was opened.
    var requests: [SessionKey: Set<String>] = [:]
    /// The highest session that was proposed.
    var lastSession = -1
    /// Frames since the count was last reset.
    var frameCount = 0
  }

  private struct State {
    var record = Record()
    var target: Address?
    var trap: (frame: Int, action: @Sendable () -> Void)?
    var isClosed = false
  }

  private let state = Mutex(State())
  private let listening: Int32
  let address: Address

  init() throws {
    listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let (descriptor, size) = (listening, length)
    let status = unsafe withUnsafeMutableBytes(of: &name) { bytes in
      let pointer = unsafe bytes.assumingMemoryBound(to: sockaddr.self).baseAddress
      guard unsafe bind(descriptor, pointer, size) == 0, listen(descriptor, 8) == 0 else {
        return Int32(-1)
      }
      return unsafe getsockname(descriptor, pointer, &length)
    }
    guard status == 0 else { throw InputError("relay", "cannot listen: \(errno)") }
    address = try Address("127.0.0.1:\(UInt16(bigEndian: name.sin_port))")
    Thread.detachNewThread { [self] in acceptAll() }
  }

  var record: Record { state.withLock { $0.record } }

  /// Where party 0 listens; nil while it is not there, which lets party 1 wait.
  func setTarget(_ target: Address?) { state.withLock { $0.target = target } }

  /// Calls `action` when the frame with number `frame`, counted from now, is about to be forwarded.
  func setTrap(frame: Int, _ action: @escaping @Sendable () -> Void) {
    state.withLock { state in
      state.record.frameCount = 0
      state.trap = (frame, action)
    }
  }

  func close() {
    state.withLock { $0.isClosed = true }
    shutdown(listening, Int32(SHUT_RDWR))
  }

  private func acceptAll() {
    while true {
      let incoming = accept(listening, nil, nil)
      if state.withLock({ $0.isClosed }) { break }
      if incoming >= 0 { Thread.detachNewThread { [self] in serve(incoming) } }
    }
    Glibc.close(listening)
  }

  /// Forwards between party 1 at `incoming` and party 0 until one of them is gone.
  private func serve(_ incoming: Int32) {
    defer { Glibc.close(incoming) }
    guard let outgoing = dialTarget() else { return }
    defer { Glibc.close(outgoing) }
    var conversation = Conversation()
    // Party 1's bytes come first; senders[i] is the party whose bytes come from descriptor i.
    let descriptors = [incoming, outgoing]
    var buffers: [[UInt8]] = [[], []]
    var hasNoted = [false, false]
    while true {
      var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      let count = nfds_t(polled.count)
      _ = unsafe poll(&polled, count, 1000)
      if state.withLock({ $0.isClosed }) { return }
      for side in 0...1 where polled[side].revents != 0 {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let size = bytes.count
        let received = unsafe recv(descriptors[side], &bytes, size, 0)
        guard received > 0 else { return }
        buffers[side] += bytes[..<received]
        while buffers[side].count >= 16 {
          let end =
            16 + Int(buffers[side][8..<16].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
          if !hasNoted[side] {
            hasNoted[side] = true
            note(type: buffers[side][3], from: 1 - side, &conversation)
          }
          guard buffers[side].count >= end else { break }
          conversation.read(Array(buffers[side][..<end]))
          let session = conversation.key?.session ?? -1
          state.withLock { $0.record.lastSession = max($0.record.lastSession, session) }
          let isSent = unsafe buffers[side].withUnsafeBytes { frame in
            unsafe send(descriptors[1 - side], frame.baseAddress, end, Int32(MSG_NOSIGNAL))
              == end
          }
          guard isSent else { return }
          buffers[side].removeFirst(end)
          hasNoted[side] = false
        }
      }
    }
  }

  private func dialTarget() -> Int32? {
    let end = ContinuousClock.now + .seconds(4)
    while ContinuousClock.now < end {
      let (target, isClosed) = state.withLock { ($0.target, $0.isClosed) }
      if isClosed { return nil }
      if let target {
        let descriptor = socket(
          AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        name.sin_port = UInt16(target.port).bigEndian
        let status = unsafe withUnsafeBytes(of: &name) { bytes in
          unsafe connect(
            descriptor, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress,
            socklen_t(bytes.count))
        }
        if status == 0 { return descriptor }
        Glibc.close(descriptor)
      }
      usleep(2000)
    }
    return nil
  }

  /// Keeps the record, and springs the trap where it is set for this frame.
  private func note(type: UInt8, from party: Int, _ conversation: inout Conversation) {
    let action = state.withLock { state in
      if type == Conversation.words, let key = conversation.key {
        let opening = Opening(
          party: party, batch: key.batch, session: key.session,
          index: conversation.openingCounts[party])
        conversation.openingCounts[party] += 1
        if !state.record.openings.insert(opening).inserted {
          state.record.repeated.insert(opening)
        }
        state.record.requests[key, default: []].insert(conversation.request)
      }
      defer { state.record.frameCount += 1 }
      guard let trap = state.trap, trap.frame <= state.record.frameCount else {
        return nil as (@Sendable () -> Void)?
      }
      state.trap = nil
      return trap.action
    }
    action?()
  }
}

/// What one connection between the parties is about at the moment.
private struct Conversation {
  static let words: UInt8 = 12
  private static let proposal: UInt8 = 10

  var key: SessionKey?
  var request = ""
  var openingCounts = [0, 0]

  /// Reads which session a proposal names; all openings until the next belong to it.
  mutating func read(_ frame: [UInt8]) {
    guard frame[3] == Conversation.proposal,
      let json = try? JSON.parse(Array(frame[16...]), source: "proposal"),
      var reader = try? JSONReader(json, source: "proposal"),
      let batch = try? reader.string("batch"), let session = try? reader.integer("session"),
      let request = try? reader.string("request")
    else { return }
    key = SessionKey(batch: batch, session: session)
    self.request = request
    openingCounts = [0, 0]
  }
}
