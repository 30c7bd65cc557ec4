// 32 secret bytes from which streams and further seeds are derived.

internal import COpenSSL

/// A 32-byte secret seed; copies share one allocation, which is wiped when the last one goes.
///
/// Never shows its bytes in `description`, `debugDescription` or `Mirror`.
public struct Seed: Sendable {
  /// Bytes in a seed.
  public static let byteCount = 32

  private let secret: SecretBytes
  /// HKDF-Extract of the seed, kept because every derivation starts with it.
  let extracted: SecretBytes

  private init(_ secret: SecretBytes) {
    self.secret = secret
    self.extracted = Libcrypto.extract(secret)
  }

  /// The seed with exactly these `byteCount` bytes.
  public init(bytes: [UInt8]) {
    precondition(bytes.count == Seed.byteCount, "a seed has 32 bytes")
    unsafe self.init(SecretBytes(byteCount: Seed.byteCount) { unsafe $0.copyBytes(from: bytes) })
  }

  /// The same, and wipes `bytes`, of which there must be no other copy.
  public init(wiping bytes: inout [UInt8]) {
    self.init(bytes: bytes)
    bytes.wipe()
  }

  /// A fresh seed from the operating system's random number generator.
  public static func random() -> Seed {
    unsafe Seed(
      SecretBytes(byteCount: byteCount) { storage in
        unsafe Libcrypto.require(
          RAND_priv_bytes(storage.bindMemory(to: UInt8.self).baseAddress, CInt(byteCount)))
      })
  }

  /// The seed HKDF-SHA-256(self, info = "lodge/1/seed/" || `label`), of 32 bytes.
  public func derived(label: [UInt8]) -> Seed {
    Seed(Libcrypto.expand(extracted, info: Array("lodge/1/seed/".utf8) + label))
  }

  /// The same with the UTF-8 bytes of `label`.
  public func derived(label: String) -> Seed { derived(label: Array(label.utf8)) }

  /// A copy of the 32 bytes, for writing to a party's own file; the copy is not wiped.
  public var bytes: [UInt8] { withBytes { bytes in (0..<Seed.byteCount).map { bytes[$0] } } }

  /// Calls `body` with the 32 bytes in place.
  public func withBytes<R>(_ body: (Span<UInt8>) -> R) -> R {
    unsafe secret.withUnsafeBytes { unsafe body($0.bindMemory(to: UInt8.self).span) }
  }
}

extension Seed: Equatable {
  /// Compares in time that does not depend on the bytes.
  public static func == (left: Seed, right: Seed) -> Bool {
    unsafe left.secret.withUnsafeBytes { first in
      unsafe right.secret.withUnsafeBytes { second in
        unsafe CRYPTO_memcmp(first.baseAddress, second.baseAddress, byteCount) == 0
      }
    }
  }
}

extension Seed: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "Seed(32 bytes)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
