// AES-256-CTR key stream of one key at any block.

internal import COpenSSL
internal import CRingKernels

/// Who makes a key stream; it is the same.
package enum StreamCipher: CaseIterable, Sendable {
  case libcrypto
  /// Kernels that set a stream up and start it in less time than libcrypto, for many short pieces.
  case vaes

  /// What this processor can run.
  package static let available = allCases.filter {
    unsafe $0 == .libcrypto || lodge_aes256_kernels_available().stream != nil
  }

  static let best = available.last ?? .libcrypto
}

/// A cipher that is set up for one key; used by one thread at a time.
@safe struct KeyStream: ~Copyable {
  /// Of libcrypto.
  private let context: OpaquePointer?
  /// Round keys of the kernels.
  private let schedule: SecretBytes?

  init(key: SecretBytes, by cipher: StreamCipher = .best) {
    switch cipher {
    case .libcrypto:
      unsafe context = unsafe KeyStream.context(key: key)
      schedule = nil
    case .vaes:
      unsafe context = nil
      schedule = unsafe SecretBytes(byteCount: MemoryLayout<lodge_aes256_schedule>.size) { bytes in
        guard let expand = unsafe lodge_aes256_kernels_available().expand,
          let keys = bytes.baseAddress
        else { preconditionFailure("this processor cannot run the vaes cipher") }
        unsafe key.withUnsafeBytes { key in
          unsafe expand(
            key.bindMemory(to: UInt8.self).baseAddress,
            keys.bindMemory(to: lodge_aes256_schedule.self, capacity: 1))
        }
      }
    }
  }

  private static func context(key: SecretBytes) -> OpaquePointer {
    guard let context = unsafe EVP_CIPHER_CTX_new() else {
      preconditionFailure("out of memory for AES")
    }
    unsafe key.withUnsafeBytes { key in
      unsafe Libcrypto.require(
        EVP_EncryptInit_ex2(
          context, Libcrypto.aes256CTR, key.bindMemory(to: UInt8.self).baseAddress, nil, nil))
    }
    return unsafe context
  }

  deinit {
    // Wipes the round keys, as SecretBytes do.
    if let context = unsafe context { unsafe EVP_CIPHER_CTX_free(context) }
  }

  private static let kernel = unsafe lodge_aes256_kernels_available().stream

  /// What is encrypted: as much as stays in the first-level cache beside the output.
  private static let zeros = [UInt8](repeating: 0, count: 1 << 14)

  /// Replaces `output` with key stream from block `block` on (16 bytes a block).
  private func fill(_ output: UnsafeMutableRawBufferPointer, fromBlock block: UInt64) {
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
    if let schedule {
      guard let first = output.baseAddress, output.count > 0 else { return }
      unsafe schedule.withUnsafeBytes { keys in
        unsafe KeyStream.kernel?(
          keys.bindMemory(to: lodge_aes256_schedule.self).baseAddress, UInt64(offset),
          output.count, first.assumingMemoryBound(to: UInt8.self))
      }
      return
    }
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
