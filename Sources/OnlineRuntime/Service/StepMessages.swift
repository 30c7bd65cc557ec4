// The data messages of a session: input shares to the parties, output shares back.

import Bytes
import Program

/// Rounds and bytes that one party counted on its connection to the other, over a session so far.
public struct StepCounters: Equatable, Sendable {
  /// Openings, each one message in both directions at once.
  public var rounds: Int
  /// Bytes to the other party, frame headers included.
  public var bytesSent: Int
  /// Bytes from the other party, frame headers included.
  public var bytesReceived: Int

  public init(rounds: Int = 0, bytesSent: Int = 0, bytesReceived: Int = 0) {
    self.rounds = rounds
    self.bytesSent = bytesSent
    self.bytesReceived = bytesReceived
  }

  mutating func add(_ counters: TransportCounters) {
    rounds += counters.rounds
    bytesSent += counters.bytesSent
    bytesReceived += counters.bytesReceived
  }
}

/// `step`: u32 index of the step, u32 rows, u32 rows of the last step that stay, u32 outputs; for party
/// 0 its share of the rows follows.
struct StepMessage {
  static let headByteCount = 16

  var step: Int
  var rowCount: Int
  var keptCount: Int
  var outputCount: Int
  /// Party 0's share, row-major [rowCount, inputWidth]; empty for party 1.
  var words: [UInt64]

  var head: [UInt8] {
    [step, rowCount, keptCount, outputCount].flatMap { LittleEndian.bytes(UInt32($0)) }
  }

  /// The same as two words, which the parties compare.
  var headWords: [UInt64] { LittleEndian.words(head, from: 0) ?? [] }

  var request: StepRequest {
    StepRequest(rowCount: rowCount, keptCount: keptCount, outputCount: outputCount)
  }

  /// - Parameter keptCount: Those of the last step that stay where `request` leaves it out.
  init(step: Int, _ request: StepRequest, keptCount: Int, words: [UInt64]) {
    self.step = step
    rowCount = request.rowCount
    self.keptCount = request.keptCount ?? keptCount
    outputCount = request.outputCount
    self.words = words
  }

  init(_ frame: Frame, source: String) throws(InputError) {
    guard frame.type == .step, frame.payload.count >= StepMessage.headByteCount else {
      throw InputError(source, "sent no step where one was expected")
    }
    step = Int(LittleEndian.value(frame.payload[0..<4]))
    rowCount = Int(LittleEndian.value(frame.payload[4..<8]))
    keptCount = Int(LittleEndian.value(frame.payload[8..<12]))
    outputCount = Int(LittleEndian.value(frame.payload[12..<16]))
    guard let words = LittleEndian.words(frame.payload, from: StepMessage.headByteCount) else {
      throw InputError(source, "sent a step that is not made of whole ring elements")
    }
    self.words = words
  }
}

/// `output`: u32 index of the step, u32 zero, u64 rounds, u64 bytes sent, u64 bytes received,
/// words.
struct OutputMessage {
  static let headByteCount = 32

  var step: Int
  var counters: StepCounters
  /// This party's share of the output, row-major [rows, outputWidth], in `outputBits` each.
  var words: [UInt64]

  var head: [UInt8] {
    LittleEndian.bytes(UInt32(step)) + [0, 0, 0, 0] + LittleEndian.bytes(UInt64(counters.rounds))
      + LittleEndian.bytes(UInt64(counters.bytesSent))
      + LittleEndian.bytes(UInt64(counters.bytesReceived))
  }

  init(step: Int, counters: StepCounters, words: [UInt64]) {
    self.step = step
    self.counters = counters
    self.words = words
  }

  init(_ frame: Frame, source: String) throws(InputError) {
    if frame.type == .refusal {
      throw try Refusal(frame, source: source).error(source: source)
    }
    guard frame.type == .output, frame.payload.count >= OutputMessage.headByteCount,
      frame.payload[4..<8].allSatisfy({ $0 == 0 })
    else { throw InputError(source, "sent no output where one was expected") }
    step = Int(LittleEndian.value(frame.payload[0..<4]))
    let numbers = stride(from: 8, to: OutputMessage.headByteCount, by: 8).map { start in
      Int(exactly: LittleEndian.value(frame.payload[start..<start + 8]))
    }
    guard let rounds = numbers[0], let sent = numbers[1], let received = numbers[2],
      let words = LittleEndian.words(frame.payload, from: OutputMessage.headByteCount)
    else { throw InputError(source, "sent an output that is not made of whole ring elements") }
    counters = StepCounters(rounds: rounds, bytesSent: sent, bytesReceived: received)
    self.words = words
  }
}

/// What one step takes on a client's link to both parties together, frame headers included.
public enum ClientTraffic {
  /// Bytes of the input: party 0 gets `wordCount` ring elements, party 1 makes its share itself.
  public static func inputByteCount(wordCount: Int) -> Int {
    2 * (FrameHeader.byteCount + StepMessage.headByteCount) + 8 * wordCount
  }

  /// Bytes of the output: `count` elements of `bits` bits from each party.
  public static func outputByteCount(count: Int, bits: Int) -> Int {
    let wordCount = Opening(shift: 0, bits: bits).wordCount(elements: count)
    return 2 * (FrameHeader.byteCount + OutputMessage.headByteCount + 8 * wordCount)
  }
}

/// Little-endian integers inside payloads.
enum LittleEndian {
  static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
    stride(from: 0, to: value.bitWidth, by: 8).map { UInt8(truncatingIfNeeded: value >> $0) }
  }

  static func value(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The words from byte `start` on; nil when the rest is not a multiple of eight bytes.
  static func words(_ bytes: [UInt8], from start: Int) -> [UInt64]? {
    guard (bytes.count - start).isMultiple(of: 8) else { return nil }
    var result = [UInt64](repeating: 0, count: (bytes.count - start) / 8)
    unsafe result.withUnsafeMutableBytes { target in
      unsafe bytes.withUnsafeBytes { source in
        unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[start...]))
      }
    }
    return result
  }
}
