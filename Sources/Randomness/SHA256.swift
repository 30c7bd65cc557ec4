// SHA-256 of bytes at hand and of bytes that arrive in pieces.

internal import COpenSSL

/// SHA-256 (FIPS 180-4).
public enum SHA256 {
  /// Bytes in a digest.
  public static let byteCount = 32

  /// The 32-byte digest of `bytes`.
  public static func digest(_ bytes: RawSpan) -> [UInt8] {
    var hasher = SHA256Hasher()
    hasher.update(bytes)
    return hasher.finalize()
  }

  /// The 32-byte digest of `bytes`.
  public static func digest(_ bytes: [UInt8]) -> [UInt8] { unsafe digest(bytes.span.bytes) }
}

/// SHA-256 of bytes that arrive in pieces; `finalize` consumes it.
@safe public struct SHA256Hasher: ~Copyable {
  private let context: OpaquePointer

  public init() {
    guard let context = unsafe EVP_MD_CTX_new() else {
      preconditionFailure("out of memory for SHA-256")
    }
    unsafe Libcrypto.require(EVP_DigestInit_ex(context, Libcrypto.sha256, nil))
    unsafe self.context = context
  }

  deinit { unsafe EVP_MD_CTX_free(context) }

  /// Appends `bytes` to the message.
  public mutating func update(_ bytes: RawSpan) {
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe Libcrypto.require(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count))
    }
  }

  /// Appends `bytes` to the message.
  public mutating func update(_ bytes: [UInt8]) { unsafe update(bytes.span.bytes) }

  /// The 32-byte digest of everything appended.
  public consuming func finalize() -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: SHA256.byteCount) { buffer, count in
      var written: CUnsignedInt = 0
      unsafe Libcrypto.require(EVP_DigestFinal_ex(context, buffer.baseAddress, &written))
      count = Int(written)
    }
  }
}
