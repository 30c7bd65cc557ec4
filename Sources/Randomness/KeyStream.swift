// AES-256-CTR key stream of one key at any block.

internal import COpenSSL

/// A libcrypto cipher that is set up for one key; used by one thread at a time.
@safe struct KeyStream: ~Copyable {
  private let context: OpaquePointer

  init(key: SecretBytes) {
    guard let context = unsafe EVP_CIPHER_CTX_new() else {
      preconditionFailure("out of memory for AES")
    }
    unsafe self.context = unsafe context
    unsafe key.withUnsafeBytes { key in
      unsafe Libcrypto.require(
        EVP_EncryptInit_ex2(
          context, Libcrypto.aes256CTR, key.bindMemory(to: UInt8.self).baseAddress, nil, nil))
    }
  }

  deinit {
    // Wipes the round keys.
    unsafe EVP_CIPHER_CTX_free(context)
  }

  /// What is encrypted: as much as stays in the first-level cache beside the output.
  private static let zeros = [UInt8](repeating: 0, count: 1 << 14)

  /// Replaces `output` with key stream from block `block` on (16 bytes a block).
  func fill(_ output: UnsafeMutableRawBufferPointer, fromBlock block: UInt64) {
    guard let first = output.baseAddress, output.count > 0 else { return }
    var counter = (UInt64(0), block.bigEndian)
    unsafe withUnsafeBytes(of: &counter) { counter in
      unsafe Libcrypto.require(
        EVP_EncryptInit_ex2(
          context, nil, nil, counter.bindMemory(to: UInt8.self).baseAddress, nil))
    }
    unsafe KeyStream.zeros.withUnsafeBufferPointer { zeros in
      var offset = 0
      while offset < output.count {
        let count = min(zeros.count, output.count - offset)
        var written: CInt = 0
        unsafe Libcrypto.require(
          EVP_EncryptUpdate(
            context, (first + offset).assumingMemoryBound(to: UInt8.self), &written,
            zeros.baseAddress, CInt(count)))
        offset += count
      }
    }
  }

  /// The same from byte `offset` of the stream on.
  func fill(_ output: UnsafeMutableRawBufferPointer, fromByte offset: Int) {
    precondition(offset >= 0, "an offset is not negative")
    let skipped = offset % 16
    let headCount = skipped == 0 ? 0 : min(16 - skipped, output.count)
    if headCount > 0 {
      // The stream is made in blocks of 16 bytes: cut the first one where the caller starts.
      var block: (UInt64, UInt64) = (0, 0)
      unsafe withUnsafeMutableBytes(of: &block) { block in
        unsafe fill(block, fromBlock: UInt64(offset / 16))
        unsafe UnsafeMutableRawBufferPointer(rebasing: output[..<headCount])
          .copyMemory(
            from: UnsafeRawBufferPointer(rebasing: block[skipped..<(skipped + headCount)]))
      }
    }
    let tail = unsafe UnsafeMutableRawBufferPointer(rebasing: output[headCount...])
    unsafe fill(tail, fromBlock: UInt64((offset + headCount) / 16))
  }
}
