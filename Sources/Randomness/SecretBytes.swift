// Heap storage for a secret of fixed size that is wiped when its last owner goes away.

internal import COpenSSL

/// A fixed number of secret bytes at one address, wiped with `OPENSSL_cleanse` on release.
///
/// Immutable after `init`, so it may be read from several threads.
@safe final class SecretBytes: @unchecked Sendable {
  private let storage: UnsafeMutableRawBufferPointer

  /// Allocates `byteCount` bytes and lets `body` fill them.
  init(byteCount: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    unsafe storage = .allocate(byteCount: byteCount, alignment: 16)
    unsafe storage.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe body(storage)
  }

  deinit {
    unsafe OPENSSL_cleanse(storage.baseAddress, storage.count)
    unsafe storage.deallocate()
  }

  /// Calls `body` with the bytes, which must not be used after it returns.
  func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    unsafe body(UnsafeRawBufferPointer(storage))
  }
}

extension SecretBytes: CustomReflectable {
  /// Shows neither the bytes nor where they are.
  var customMirror: Mirror { Mirror(self, children: []) }
}
