// Every message by its frame, for checks against other implementations.

package import Bytes
import Randomness

/// A message as its receiver reads it from a frame.
package enum WireMessage {
  /// The bytes of the frame number `number` of a connection, read and written again.
  ///
  /// - Throws: `InputError` where a receiver closes the connection.
  package static func rewritten(_ bytes: [UInt8], number: UInt32) throws(InputError) -> [UInt8] {
    let source = "frame"
    guard bytes.count >= FrameHeader.byteCount else { throw InputError(source, "has no header") }
    let header = try FrameHeader(
      Array(bytes[..<FrameHeader.byteCount]), number: number, source: source)
    guard header.length == UInt64(bytes.count - FrameHeader.byteCount) else {
      throw InputError(source, "is not as long as its header says")
    }
    let frame = Frame(type: header.type, payload: Array(bytes[FrameHeader.byteCount...]))
    return header.bytes + (try payload(frame, source: source))
  }

  private static func payload(_ frame: Frame, source: String) throws(InputError) -> [UInt8] {
    switch frame.type {
    case .hello: return try Hello(frame, source: source).payload
    case .begin: return try BeginMessage(frame, source: source).payload
    case .seed: return try Seed(frame, source: source).bytes
    case .waiting: return WaitingNotice.payload(try WaitingNotice.reason(frame, source: source))
    case .ready, .acceptance:
      return try SessionKey(frame, type: frame.type, source: source).payload
    case .refusal: return try Refusal(frame, source: source).payload
    case .step:
      let message = try StepMessage(frame, source: source)
      return message.head + message.words.flatMap(LittleEndian.bytes)
    case .output:
      let message = try OutputMessage(frame, source: source)
      return message.head + message.words.flatMap(LittleEndian.bytes)
    case .end: return try SessionEnd(frame, source: source).payload
    case .proposal: return try ProposalMessage(frame, source: source).payload
    case .words:
      guard let words = LittleEndian.words(frame.payload, from: 0) else {
        throw InputError(source, "is not made of whole ring elements")
      }
      return words.flatMap(LittleEndian.bytes)
    case .used: return try UsedMessage(frame, source: source).payload
    case .clients: return try ClientsMessage(frame, source: source).payload
    case .decline: return try DeclineMessage(frame, source: source).payload
    case .keys: return frame.payload
    case .lanes: return try LanesMessage(frame, source: source).payload
    }
  }
}
