// The few libcrypto calls this module is built on; algorithms are fetched once a process.

internal import COpenSSL

/// AES-256-CTR, HMAC-SHA-256 and HKDF-SHA-256 from libcrypto.
///
/// These calls fail only when memory runs out or libcrypto was built without the algorithm. Going
/// on without randomness would be worse than stopping, so such a failure traps.
enum Libcrypto {
  nonisolated(unsafe) static let aes256CTR: OpaquePointer = {
    guard let cipher = unsafe EVP_CIPHER_fetch(nil, "AES-256-CTR", nil) else {
      preconditionFailure("libcrypto has no AES-256-CTR")
    }
    return unsafe cipher
  }()

  nonisolated(unsafe) static let sha256: OpaquePointer = {
    guard let digest = unsafe EVP_MD_fetch(nil, "SHA256", nil) else {
      preconditionFailure("libcrypto has no SHA-256")
    }
    return unsafe digest
  }()

  /// HMAC-SHA-256 without a key; only ever duplicated, never used itself.
  nonisolated(unsafe) private static let hmacTemplate: OpaquePointer = {
    guard let algorithm = unsafe EVP_MAC_fetch(nil, "HMAC", nil),
      let context = unsafe EVP_MAC_CTX_new(algorithm)
    else { preconditionFailure("libcrypto has no HMAC") }
    // The parameter keeps both pointers: a string passed as its key would be gone after the call.
    let key = Array(OSSL_MAC_PARAM_DIGEST.utf8CString)
    var name = Array("SHA256".utf8CString)
    unsafe key.withUnsafeBufferPointer { key in
      unsafe name.withUnsafeMutableBufferPointer { name in
        let digest = unsafe OSSL_PARAM_construct_utf8_string(key.baseAddress, name.baseAddress, 0)
        let parameters = unsafe [digest, OSSL_PARAM_construct_end()]
        require(unsafe EVP_MAC_CTX_set_params(context, parameters))
      }
    }
    return unsafe context
  }()

  static func require(_ status: CInt) {
    precondition(status == 1, "a libcrypto call failed")
  }

  /// HMAC-SHA-256(`key`, `first` || `second`), written to the 32 bytes of `tag`.
  static func hmac(
    key: UnsafeRawBufferPointer, _ first: UnsafeRawBufferPointer,
    _ second: UnsafeRawBufferPointer, into tag: UnsafeMutableRawBufferPointer
  ) {
    guard let context = unsafe EVP_MAC_CTX_dup(hmacTemplate) else {
      preconditionFailure("out of memory for HMAC")
    }
    defer { unsafe EVP_MAC_CTX_free(context) }
    unsafe require(
      EVP_MAC_init(context, key.bindMemory(to: UInt8.self).baseAddress, key.count, nil))
    unsafe require(
      EVP_MAC_update(context, first.bindMemory(to: UInt8.self).baseAddress, first.count))
    unsafe require(
      EVP_MAC_update(context, second.bindMemory(to: UInt8.self).baseAddress, second.count))
    var written = 0
    unsafe require(
      EVP_MAC_final(
        context, tag.bindMemory(to: UInt8.self).baseAddress, &written, tag.count))
    precondition(written == 32 && tag.count == 32, "HMAC-SHA-256 tags have 32 bytes")
  }

  /// HKDF-Extract (RFC 5869) with SHA-256 and an empty salt: HMAC(32 zero bytes, `input`).
  static func extract(_ input: SecretBytes) -> SecretBytes {
    let zeros = [UInt8](repeating: 0, count: 32)
    return unsafe SecretBytes(byteCount: 32) { tag in
      unsafe input.withUnsafeBytes { input in
        unsafe zeros.withUnsafeBytes { zeros in
          unsafe hmac(key: zeros, input, UnsafeRawBufferPointer(start: nil, count: 0), into: tag)
        }
      }
    }
  }

  /// HKDF-Expand (RFC 5869) to 32 bytes: HMAC(`key`, `info` || 0x01).
  static func expand(_ key: SecretBytes, info: [UInt8]) -> SecretBytes {
    let counter: [UInt8] = [1]
    return unsafe SecretBytes(byteCount: 32) { tag in
      unsafe key.withUnsafeBytes { key in
        unsafe info.withUnsafeBytes { info in
          unsafe counter.withUnsafeBytes { counter in
            unsafe hmac(key: key, info, counter, into: tag)
          }
        }
      }
    }
  }
}
