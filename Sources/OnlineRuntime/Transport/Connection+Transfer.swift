// The loop that moves the bytes of one outgoing and one incoming frame at the same time.

import Bytes

#if _endian(big)
  #error("frames carry the memory of ring elements, which must be little-endian")
#endif

/// What a transfer waits for.
enum Awaited {
  case nothing
  case header(ExpectedFrames)
  case frame(ExpectedFrames)
  /// A words frame of exactly `count` words, or the end of the session in its place.
  case words(count: Int)
  /// A words frame that nobody needs any more and of which nothing is kept.
  case discardedWords
}

/// What a transfer received.
enum Received: Sendable {
  case nothing
  case frame(Frame)
  case words([UInt64])
}

extension Connection {
  /// Sends one frame, receives what is awaited, both as fast as the socket allows.
  func transfer(
    _ state: inout State, sending: (type: FrameType, payload: UnsafeRawBufferPointer)?,
    receiving awaited: Awaited, deadline: Deadline
  ) throws(InputError) -> Received {
    if let failure = state.failure { throw failure }
    var sender = unsafe sending.map { unsafe FrameSender($0.type, state.sendSequence, $0.payload) }
    var receiver = FrameReceiver(awaited: awaited)
    var lastProgress = ContinuousClock.now
    var payloadDeadline = Deadline.none
    // Since when only the other side's part of an exchange is missing.
    var waitStart: ContinuousClock.Instant?
    while true {
      var moved = false
      if sender?.isDone == false {
        moved = try sender?.move(socket, &state) ?? false
      }
      if !receiver.isDone { moved = try receiver.move(socket, &state) || moved }
      let isSent = sender?.isDone ?? true
      if isSent && receiver.isDone {
        if let waitStart { state.waits.add(ContinuousClock.now - waitStart) }
        return receiver.result
      }
      if isSent, !moved, waitStart == nil, case .words = awaited {
        waitStart = ContinuousClock.now
      }
      if let waitStart, !moved, state.waits.areShort,
        ContinuousClock.now - waitStart < RecentWaits.longestAwake
      {
        continue
      }
      if moved {
        lastProgress = ContinuousClock.now
        if let byteCount = receiver.payloadByteCount, payloadDeadline.instant == nil {
          payloadDeadline = .transfer(byteCount: byteCount)
        }
        if payloadDeadline.hasPassed { throw state.fail("sent a frame too slowly") }
        // Small pieces that keep coming are no reason to go on for ever.
        if !deadline.hasPassed { continue }
      } else {
        let events =
          (isSent ? 0 : Readiness.writable) | (receiver.isDone ? 0 : Readiness.readable)
        let ready = Readiness.wait(
          [(socket, events)], milliseconds: deadline.milliseconds(limit: 1000))
        if ready[0] != 0 { continue }
      }
      let silence = ContinuousClock.now - lastProgress
      if deadline.hasPassed {
        // Nothing of a frame was moved: the connection can still be used.
        let isWhole = sender == nil && state.partialHeader.isEmpty && !receiver.hasBytes
        let error = InputError(state.label, "no answer in time")
        if !isWhole { state.failure = error }
        throw error
      }
      if silence >= .seconds(Connection.unansweredSeconds), hasVanished {
        throw state.fail(Connection.vanished)
      }
      if silence >= state.progressTimeout {
        throw state.fail(Connection.silent(for: state.progressTimeout))
      }
    }
  }
}

/// The outgoing half of a transfer.
@safe private struct FrameSender {
  /// The header with the first bytes of the payload: most frames go in one packet and one record.
  private let head: [UInt8]
  private let rest: UnsafeRawBufferPointer
  private var sent = 0

  /// The most that one record of TLS holds.
  private static let recordByteCount = 16_384

  init(_ type: FrameType, _ sequence: UInt32, _ payload: UnsafeRawBufferPointer) {
    let header = FrameHeader(type: type, sequence: sequence, length: UInt64(payload.count))
    let count = min(payload.count, FrameSender.recordByteCount - FrameHeader.byteCount)
    head = unsafe header.bytes + Array(payload[..<count])
    unsafe rest = UnsafeRawBufferPointer(rebasing: payload[count...])
  }

  private var byteCount: Int { unsafe head.count + rest.count }

  var isDone: Bool { sent == byteCount }

  /// Sends what the socket takes now; returns whether it took anything.
  mutating func move(_ socket: Socket, _ state: inout Connection.State) throws(InputError) -> Bool {
    let outcome: Socket.Outcome
    if sent < head.count {
      outcome = unsafe head.withUnsafeBytes { bytes in
        unsafe state.send(UnsafeRawBufferPointer(rebasing: bytes[sent...]), on: socket)
      }
    } else {
      outcome = unsafe state.send(
        UnsafeRawBufferPointer(rebasing: rest[(sent - head.count)...]), on: socket)
    }
    switch outcome {
    case .moved(let count):
      sent += count
      if isDone {
        state.sendSequence &+= 1
        state.counters.framesSent += 1
        state.counters.bytesSent += byteCount
      }
      return count > 0
    case .wouldBlock: return false
    case .endOfStream: throw state.fail("closed the connection")
    case .failed(let cause): throw state.fail(cause)
    }
  }
}

/// The incoming half of a transfer.
private struct FrameReceiver {
  private let awaited: Awaited
  private var bytes: [UInt8] = []
  private var words: [UInt64] = []
  private var receivedCount = 0
  private var hasTarget = false
  /// Bytes of the payload that has begun to come and has a deadline of its own.
  ///
  /// None for an opening: the other side may be computing while its first bytes are here.
  private(set) var payloadByteCount: Int?
  private(set) var isDone = false
  private(set) var result = Received.nothing

  /// Memory grows by what has arrived: a short frame that claims to be long costs nothing.
  private static let firstByteCount = 65_536

  init(awaited: Awaited) {
    self.awaited = awaited
    if case .nothing = awaited { isDone = true }
  }

  var hasBytes: Bool { receivedCount > 0 }

  /// Receives what is there now; returns whether anything was.
  mutating func move(_ socket: Socket, _ state: inout Connection.State) throws(InputError) -> Bool {
    guard let header = state.pendingHeader else { return try moveHeader(socket, &state) }
    if !hasTarget { try chooseTarget(header, &state) }
    if case .header = awaited {
      isDone = true
      return true
    }
    let length = Int(header.length)
    if receivedCount < length {
      let outcome = receive(socket, &state, length: length)
      guard let count = try moved(outcome, &state) else { return false }
      receivedCount += count
    }
    if receivedCount == length { finish(header, &state) }
    return true
  }

  private mutating func moveHeader(
    _ socket: Socket, _ state: inout Connection.State
  ) throws(InputError) -> Bool {
    let missing = FrameHeader.byteCount - state.partialHeader.count
    if case .words(let count) = awaited, state.input.isEmpty {
      let outcome = state.receiveAhead(missing + 8 * count, from: socket)
      guard try moved(outcome, &state) != nil else { return false }
    }
    var buffer = [UInt8](repeating: 0, count: missing)
    let outcome = unsafe buffer.withUnsafeMutableBytes {
      unsafe state.receive(into: $0, from: socket)
    }
    guard let count = try moved(outcome, &state) else { return false }
    state.partialHeader += buffer[..<count]
    if state.partialHeader.count == FrameHeader.byteCount {
      let header: FrameHeader
      do throws(InputError) {
        header = try FrameHeader(
          state.partialHeader, number: state.receiveSequence, source: state.label)
      } catch {
        state.failure = error
        throw error
      }
      state.partialHeader = []
      state.pendingHeader = header
    }
    return true
  }

  private mutating func chooseTarget(
    _ header: FrameHeader, _ state: inout Connection.State
  ) throws(InputError) {
    hasTarget = true
    let expected: ExpectedFrames
    switch awaited {
    case .nothing: preconditionFailure("nothing is received")
    case .words(let count) where header.type == .words:
      guard header.length == UInt64(count) * 8 else {
        throw state.fail("sent \(header.length / 8) words where \(count) were expected")
      }
      words = [UInt64](repeating: 0, count: count)
      return
    case .words(let count): expected = .data(.words, atMost: 8 * count, or: .end)
    case .discardedWords: expected = .data(.words, atMost: .max)
    case .header(let frames), .frame(let frames): expected = frames
    }
    if let complaint = expected.complaint(header) { throw state.fail(complaint) }
    if case .header = awaited { return }
    payloadByteCount = Int(header.length)
  }

  private var takesWords: Bool { if case .words = awaited { !words.isEmpty } else { false } }

  private var keepsNothing: Bool { if case .discardedWords = awaited { true } else { false } }

  private mutating func receive(
    _ socket: Socket, _ state: inout Connection.State, length: Int
  ) -> Socket.Outcome {
    let start = receivedCount
    if takesWords {
      return unsafe words.withUnsafeMutableBytes { buffer in
        unsafe state.receive(
          into: UnsafeMutableRawBufferPointer(rebasing: buffer[start...]), from: socket)
      }
    }
    if keepsNothing {
      let count = min(length - start, FrameReceiver.firstByteCount)
      if bytes.isEmpty { bytes = [UInt8](repeating: 0, count: count) }
      return unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe state.receive(
          into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), from: socket)
      }
    }
    if start == bytes.count {
      let target = min(length, max(FrameReceiver.firstByteCount, 2 * bytes.count))
      bytes.append(contentsOf: repeatElement(0, count: target - bytes.count))
    }
    return unsafe bytes.withUnsafeMutableBytes { buffer in
      unsafe state.receive(
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[start...]), from: socket)
    }
  }

  private mutating func finish(_ header: FrameHeader, _ state: inout Connection.State) {
    if case .words = awaited, header.type == .words {
      result = .words(words)
    } else if keepsNothing {
      result = .nothing
    } else {
      result = .frame(Frame(type: header.type, payload: bytes))
    }
    state.pendingHeader = nil
    state.receiveSequence &+= 1
    state.counters.framesReceived += 1
    state.counters.bytesReceived += FrameHeader.byteCount + receivedCount
    isDone = true
  }

  private func moved(
    _ outcome: Socket.Outcome, _ state: inout Connection.State
  ) throws(InputError) -> Int? {
    switch outcome {
    case .moved(let count): return count
    case .wouldBlock: return nil
    case .endOfStream: throw state.fail("closed the connection")
    case .failed(let cause): throw state.fail(cause)
    }
  }
}
