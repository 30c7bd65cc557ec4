// Keys that one party has in its session file for both, passed on before the first step.

import Bytes
import Correlations
import Program
import Randomness
import Sharing
import Synchronization

/// The comparison and point keys of a session that a party gets from the other: a user all of them, a
/// server those that only the other's file has.
///
/// They are held in memory; the party's own session file has their digests.
final class PassedKeys: Sendable {
  /// The keys of one operation.
  struct Part {
    var node: Int
    var byteCount: Int
    var digest: [UInt8]
  }

  /// Longest payload of a frame with keys.
  private static let frameByteCount = 1 << 20

  private let parts: [Part]
  private let bytes = Mutex<[Int: [UInt8]]>([:])

  init(_ parts: [Part]) { self.parts = parts }

  /// The frames in which so many bytes of keys travel.
  static func frames(byteCount: Int) -> [Range<Int>] {
    stride(from: 0, to: byteCount, by: frameByteCount).map {
      $0..<min($0 + frameByteCount, byteCount)
    }
  }

  /// The keys of operation `node`; nil before they have come, and of those that this party has.
  func keys(node: Int) -> [UInt8]? { bytes.withLock { $0[node] } }

  /// Receives all parts while `sentCount` frames are sent, one for one.
  ///
  /// - Throws: `InputError` where the other party fails, and once all has come where something was not
  ///   dealt.
  func exchange(
    with peer: Connection, sendingFrames sentCount: Int,
    frame: (_ number: Int) throws(InputError) -> [UInt8]
  ) throws(InputError) {
    let awaited = parts.flatMap { part in
      PassedKeys.frames(byteCount: part.byteCount).map { (node: part.node, bytes: $0) }
    }
    var received = Dictionary(uniqueKeysWithValues: parts.map { ($0.node, [UInt8]()) })
    for part in parts { received[part.node]?.reserveCapacity(part.byteCount) }
    for number in 0..<max(sentCount, awaited.count) {
      let payload = number < sentCount ? try frame(number) : nil
      guard number < awaited.count else {
        if let payload { try peer.send(.keys, payload) }
        continue
      }
      let (node, range) = awaited[number]
      received[node]? += try PassedKeys.checked(
        peer.exchange(
          sending: payload.map { (.keys, $0) },
          receiving: .data(.keys, atMost: range.count, or: .end, .refusal)), range.count, peer)
    }
    for part in parts {
      guard let keys = received[part.node], SHA256.digest(keys) == part.digest else {
        throw InputError(
          peer.label, place: "operations/\(part.node)/keys",
          "sent other keys than were dealt",
          hint: "its session file is damaged or was changed: ask for other sessions")
      }
    }
    bytes.withLock { [received] in $0 = received }
  }

  private static func checked(_ frame: Frame, _ byteCount: Int, _ peer: Connection)
    throws(InputError) -> [UInt8]
  {
    if frame.type == .end {
      throw InputError(peer.label, SessionEnd.interruptionText(frame))
    }
    if frame.type == .refusal {
      throw try Refusal(frame, source: peer.label).error(source: peer.label)
    }
    guard frame.payload.count == byteCount else {
      throw InputError(
        peer.label, "sent \(frame.payload.count) bytes of keys, expected \(byteCount)")
    }
    return frame.payload
  }
}
