// Ed25519 (RFC 8032) by libcrypto: the only file that signs and verifies.

internal import COpenSSL
import Randomness

/// Keys are 32 bytes, signatures 64.
enum Ed25519 {
  static let keyByteCount = 32
  static let signatureByteCount = 64

  /// The public key of the private key `seed`.
  static func publicKey(of seed: Seed) -> [UInt8] {
    unsafe withKey(seed) { key in
      unsafe rawPublicKey(key) ?? []
    }
  }

  /// The signature of `message`; the same every time.
  static func sign(_ message: [UInt8], _ seed: Seed) -> [UInt8] {
    unsafe withKey(seed) { key in
      let context = unsafe digestContext()
      defer { unsafe EVP_MD_CTX_free(context) }
      unsafe require(EVP_DigestSignInit_ex(context, nil, nil, nil, nil, key, nil))
      var signature = [UInt8](repeating: 0, count: signatureByteCount)
      var count = signature.count
      unsafe require(EVP_DigestSign(context, &signature, &count, message, message.count))
      precondition(count == signatureByteCount, "Ed25519 signatures have 64 bytes")
      return signature
    }
  }

  /// Whether `signature` is that of `message` by the owner of `publicKey`.
  static func verify(_ signature: [UInt8], of message: [UInt8], publicKey: [UInt8]) -> Bool {
    guard signature.count == signatureByteCount, publicKey.count == keyByteCount,
      let key = unsafe EVP_PKEY_new_raw_public_key(
        EVP_PKEY_ED25519, nil, publicKey, publicKey.count)
    else { return false }
    defer { unsafe EVP_PKEY_free(key) }
    let context = unsafe digestContext()
    defer { unsafe EVP_MD_CTX_free(context) }
    unsafe require(EVP_DigestVerifyInit_ex(context, nil, nil, nil, nil, key, nil))
    let status = unsafe EVP_DigestVerify(
      context, signature, signature.count, message, message.count)
    ERR_clear_error()
    return status == 1
  }

  /// Calls `body` with libcrypto's form of the private key `seed`.
  static func withKey<R>(_ seed: Seed, _ body: (OpaquePointer) -> R) -> R {
    let key = unsafe seed.withBytes { bytes in
      unsafe bytes.withUnsafeBufferPointer { bytes in
        unsafe EVP_PKEY_new_raw_private_key(
          EVP_PKEY_ED25519, nil, bytes.baseAddress, bytes.count)
      }
    }
    guard let key = unsafe key else { preconditionFailure("libcrypto has no Ed25519") }
    defer { unsafe EVP_PKEY_free(key) }
    return unsafe body(key)
  }

  /// The 32 bytes of libcrypto's `key`; nil where it is of another kind.
  static func rawPublicKey(_ key: OpaquePointer) -> [UInt8]? {
    guard unsafe EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 else { return nil }
    var bytes = [UInt8](repeating: 0, count: keyByteCount)
    var count = bytes.count
    guard unsafe EVP_PKEY_get_raw_public_key(key, &bytes, &count) == 1, count == keyByteCount
    else { return nil }
    return bytes
  }

  private static func digestContext() -> OpaquePointer {
    guard let context = unsafe EVP_MD_CTX_new() else { preconditionFailure("out of memory") }
    return unsafe context
  }

  static func require(_ status: CInt) { precondition(status == 1, "a libcrypto call failed") }
}
