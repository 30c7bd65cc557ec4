// The name of one session of correlated randomness.

/// A session of a batch, as correlation files, the ledger and the parties name it.
public struct SessionKey: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Digest of the batch in lower-case hexadecimal.
  public let batch: String
  /// Index inside the batch, from 0.
  public let session: Int

  public init(batch: String, session: Int) {
    self.batch = batch
    self.session = session
  }

  /// True when `batch` is hexadecimal of a sensible length and `session` fits 32 bits.
  var isWellFormed: Bool {
    (1...128).contains(batch.utf8.count) && (0...Int(UInt32.max)).contains(session)
      && batch.utf8.allSatisfy { byte in
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
          || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
      }
  }

  /// By batch, then by index.
  public static func < (left: SessionKey, right: SessionKey) -> Bool {
    (left.batch, left.session) < (right.batch, right.session)
  }

  public var description: String { "session \(session) of batch \(batch.prefix(12))" }
}
