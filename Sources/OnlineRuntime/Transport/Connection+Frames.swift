// Sending, receiving and exchanging frames on a connection.

public import Bytes
import Synchronization

extension Connection {
  /// Sends one frame.
  func send(_ type: FrameType, _ payload: [UInt8], deadline: Deadline = .none) throws(InputError) {
    precondition(
      type.isData || payload.count <= FrameHeader.maximumControlByteCount, "control frame too long")
    _ = try state.withLock { state throws(InputError) -> Received in
      try unsafe payload.span.bytes.withUnsafeBytes { bytes throws(InputError) -> Received in
        try unsafe transfer(
          &state, sending: (type, bytes), receiving: .nothing, deadline: deadline)
      }
    }
  }

  /// Sends one data frame: `head` and then `words`, little-endian.
  func send(
    _ type: FrameType, head: [UInt8], words: [UInt64], deadline: Deadline = .none
  ) throws(InputError) {
    var payload = head
    payload.reserveCapacity(head.count + 8 * words.count)
    unsafe words.withUnsafeBytes { unsafe payload.append(contentsOf: $0) }
    try send(type, payload, deadline: deadline)
  }

  /// Receives one of the frames that may come here; any other breaks the connection.
  func receive(_ expected: ExpectedFrames, deadline: Deadline = .none) throws(InputError) -> Frame {
    let received = try state.withLock { state throws(InputError) -> Received in
      try unsafe transfer(&state, sending: nil, receiving: .frame(expected), deadline: deadline)
    }
    guard case .frame(let frame) = received else {
      preconditionFailure("a frame was asked for")
    }
    return frame
  }

  /// Sends a frame, where there is one, and receives one of the frames that may come here, both at the
  /// same time.
  func exchange(
    sending frame: (type: FrameType, payload: [UInt8])?, receiving expected: ExpectedFrames
  ) throws(InputError) -> Frame {
    guard let frame else { return try receive(expected) }
    let received = try state.withLock { state throws(InputError) -> Received in
      try unsafe frame.payload.span.bytes.withUnsafeBytes { bytes throws(InputError) -> Received in
        try unsafe transfer(
          &state, sending: (frame.type, bytes), receiving: .frame(expected), deadline: .none)
      }
    }
    guard case .frame(let received) = received else {
      preconditionFailure("a frame was asked for")
    }
    return received
  }

  /// Reads a words frame away, however long, in a buffer of fixed size.
  func discardWords(deadline: Deadline) throws(InputError) {
    _ = try state.withLock { state throws(InputError) -> Received in
      try unsafe transfer(&state, sending: nil, receiving: .discardedWords, deadline: deadline)
    }
  }

  /// The type of the next frame, which must be one of `expected` and stays to be received.
  func peekType(_ expected: ExpectedFrames, deadline: Deadline = .none) throws(InputError)
    -> FrameType
  {
    try state.withLock { state throws(InputError) -> FrameType in
      _ = try unsafe transfer(
        &state, sending: nil, receiving: .header(expected), deadline: deadline)
      guard let header = state.pendingHeader else { preconditionFailure("a header was read") }
      return header.type
    }
  }

  /// True when the header of the next frame has been read by `peekType`.
  var hasPendingFrame: Bool { state.withLock { $0.pendingHeader != nil } }

  /// Sends `words` and receives `incomingCount` words of the peer at the same time: one round, in
  /// which no words are no frame.
  ///
  /// Both directions move together, so two parties that exchange megabytes cannot block each other.
  /// - Parameter words: Ring elements; each travels as 8 little-endian bytes.
  /// - Throws: `InputError` naming the peer when it is lost, silent for longer than
  ///   `progressTimeout`, ended the session, or sent another number of words.
  public func exchange(_ words: [UInt64], incomingCount: Int) throws(InputError) -> [UInt64] {
    let received = try state.withLock { state throws(InputError) -> Received in
      let received = try unsafe words.span.bytes.withUnsafeBytes {
        bytes throws(InputError) -> Received in
        try unsafe transfer(
          &state, sending: words.isEmpty ? nil : (.words, bytes),
          receiving: incomingCount == 0 ? .nothing : .words(count: incomingCount),
          deadline: .none)
      }
      if case .frame(let frame) = received {
        state.interruption = frame
        throw InputError(state.label, SessionEnd.interruptionText(frame))
      }
      state.counters.rounds += 1
      return received
    }
    if case .words(let result) = received { return result }
    return []
  }

  /// Keeps the peer's end of the session for `takeInterruption`.
  func keepInterruption(_ frame: Frame) { state.withLock { $0.interruption = frame } }

  /// The frame with which the peer ended the session early, once.
  func takeInterruption() -> Frame? {
    state.withLock { state in
      defer { state.interruption = nil }
      return state.interruption
    }
  }
}

extension Connection {
  /// A control frame that arrived before sending failed; nil when there is none.
  func lastWords() -> Frame? {
    state.withLock { state in
      // Sending is over, but what was received before is intact.
      state.failure = nil
      defer { state.failure = InputError(state.label, "closed the connection") }
      let limit = Deadline.after(.seconds(1))
      while true {
        let received = try? unsafe transfer(
          &state, sending: nil, receiving: .frame(.control(.refusal, .waiting)), deadline: limit)
        guard case .frame(let frame) = received else { return nil }
        if frame.type == .refusal { return frame }
      }
    }
  }
}

/// The moment at which a wait is given up.
struct Deadline: Sendable {
  var instant: ContinuousClock.Instant?

  static let none = Deadline(instant: nil)
  static func after(_ duration: Duration) -> Deadline {
    Deadline(instant: ContinuousClock.now + duration)
  }

  /// For `byteCount` bytes on the slowest network that is served.
  static func transfer(
    byteCount: Int, start: Duration = .seconds(30), bytesPerSecond: Int = 65_536
  ) -> Deadline {
    .after(start + .seconds(byteCount / bytesPerSecond))
  }

  var hasPassed: Bool { instant.map { ContinuousClock.now >= $0 } ?? false }

  /// Milliseconds left, at most `limit`.
  func milliseconds(limit: Int) -> Int {
    guard let instant else { return limit }
    let left = (instant - ContinuousClock.now) / .milliseconds(1)
    return max(0, min(limit, Int(left.rounded(.up))))
  }
}
