// SHA-256 in pieces (libcrypto), for datasets that do not fit in memory.

import COpenSSL

/// A running SHA-256; `finalize` gives the 32 bytes.
@safe struct ContentDigest: ~Copyable {
  private let context: OpaquePointer?

  init() {
    unsafe context = EVP_MD_CTX_new()
    // libcrypto fails here only when memory is out, as every allocation in Swift traps.
    unsafe precondition(EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1, "SHA-256 is missing")
  }

  deinit { unsafe EVP_MD_CTX_free(context) }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress, unsafe !bytes.isEmpty else { return }
    unsafe EVP_DigestUpdate(context, base, bytes.count)
  }

  consuming func finalize() -> [UInt8] {
    var result = [UInt8](repeating: 0, count: 32)
    unsafe result.withUnsafeMutableBufferPointer { buffer in
      _ = unsafe EVP_DigestFinal_ex(context, buffer.baseAddress, nil)
    }
    return result
  }

  /// SHA-256 of `text` as UTF-8.
  static func of(_ text: String) -> [UInt8] {
    var digest = ContentDigest()
    unsafe Array(text.utf8).withUnsafeBytes { unsafe digest.update($0) }
    return digest.finalize()
  }
}
