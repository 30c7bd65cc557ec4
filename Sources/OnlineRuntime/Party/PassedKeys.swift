// Keys that a provider passes on to its user before the first step of a session.

import Bytes
import Correlations
import Program
import Randomness
import Sharing
import Synchronization

/// The comparison and point keys of a session that a user gets from the provider.
///
/// They are held in memory; the user's session file has their digests.
final class PassedKeys: Sendable {
  /// The keys of one operation.
  struct Part {
    var node: Int
    var byteCount: Int
    var digest: [UInt8]
  }

  /// Longest payload of a frame with keys.
  static let frameByteCount = 1 << 20

  private let parts: [Part]
  private let bytes = Mutex<[Int: [UInt8]]>([:])

  init(_ parts: [Part]) { self.parts = parts }

  /// The keys of operation `node`; nil before they have come.
  func keys(node: Int) -> [UInt8]? { bytes.withLock { $0[node] } }

  /// - Throws: `InputError` where the provider fails, or what it sends was not dealt.
  func receive(from provider: Connection) throws(InputError) {
    for part in parts {
      var received: [UInt8] = []
      received.reserveCapacity(part.byteCount)
      while received.count < part.byteCount {
        let expected = min(part.byteCount - received.count, PassedKeys.frameByteCount)
        let frame = try provider.receive(
          .data(.keys, atMost: expected, or: .end, .refusal))
        if frame.type == .end {
          throw InputError(provider.label, SessionEnd.interruptionText(frame))
        }
        if frame.type == .refusal {
          throw try Refusal(frame, source: provider.label).error(source: provider.label)
        }
        guard frame.payload.count == expected else {
          throw InputError(
            provider.label, "sent \(frame.payload.count) bytes of keys, expected \(expected)")
        }
        received += frame.payload
      }
      guard SHA256.digest(received) == part.digest else {
        throw InputError(
          provider.label, place: "operations/\(part.node)/keys",
          "sent other keys than were dealt",
          hint: "its session file is damaged or was changed: ask for other sessions")
      }
      bytes.withLock { [received] in $0[part.node] = received }
    }
  }
}
