// Frames, the unit of every message between parties and clients; specified in formats/wire.md.

import Bytes

/// What a frame carries.
enum FrameType: UInt8, Sendable {
  case hello = 1
  case begin = 2
  case seed = 3
  case waiting = 4
  case ready = 5
  case refusal = 6
  case step = 7
  case output = 8
  case end = 9
  case proposal = 10
  case acceptance = 11
  case words = 12
  case used = 13
  case clients = 14
  case decline = 15
  case keys = 16
  case lanes = 17

  /// Data frames are as long as their receiver allows; all others are short.
  var isData: Bool { self == .step || self == .output || self == .words || self == .keys }
}

/// One received frame.
struct Frame: Sendable {
  var type: FrameType
  var payload: [UInt8]
}

/// The sixteen bytes before every payload: "LW", version, type, sequence (u32), length (u64).
struct FrameHeader: Equatable, Sendable {
  static let byteCount = 16
  static let version: UInt8 = 4
  /// Longest payload of a frame that carries no data.
  static let maximumControlByteCount = 65_536

  var type: FrameType
  /// Number of the frame in its direction of the connection, from 0, modulo 2^32.
  var sequence: UInt32
  /// Bytes of payload.
  var length: UInt64

  init(type: FrameType, sequence: UInt32, length: UInt64) {
    self.type = type
    self.sequence = sequence
    self.length = length
  }

  /// - Parameter number: The number that this frame of its direction must have.
  /// - Throws: `InputError` naming `source` when the bytes are no header of this version, or not this one.
  init(_ bytes: [UInt8], number: UInt32, source: String) throws(InputError) {
    precondition(bytes.count == FrameHeader.byteCount, "a header has 16 bytes")
    guard bytes[0] == UInt8(ascii: "L"), bytes[1] == UInt8(ascii: "W") else {
      throw InputError(source, "does not speak Lodge's protocol")
    }
    guard bytes[2] == FrameHeader.version else {
      throw InputError(
        source, "speaks protocol version \(bytes[2]), this is version \(FrameHeader.version)")
    }
    guard let type = FrameType(rawValue: bytes[3]) else {
      throw InputError(source, "sent a frame of unknown type \(bytes[3])")
    }
    self.type = type
    sequence = bytes[4..<8].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    length = bytes[8..<16].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    guard sequence == number else {
      throw InputError(source, "sent frame number \(sequence), expected \(number)")
    }
    guard type.isData || length <= UInt64(FrameHeader.maximumControlByteCount) else {
      throw InputError(source, "announced a control frame of \(length) bytes")
    }
  }

  var bytes: [UInt8] {
    var result: [UInt8] = [
      UInt8(ascii: "L"), UInt8(ascii: "W"), FrameHeader.version, type.rawValue,
    ]
    for shift in stride(from: UInt32(0), to: 32, by: 8) {
      result.append(UInt8(truncatingIfNeeded: sequence >> shift))
    }
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      result.append(UInt8(truncatingIfNeeded: length >> shift))
    }
    return result
  }
}
