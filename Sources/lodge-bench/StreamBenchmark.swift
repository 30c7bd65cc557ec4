// Seed streams against libcrypto's own rate.

import Bytes
import COpenSSL
import Randomness

/// Bytes of AES-256-CTR a second, into buffers that stay in the cache.
struct StreamBenchmark {
  private let rates: [Rate]

  init(repetitions: Int) {
    let stream = RandomStream(
      seed: .random(), label: StreamLabel(session: 0, party: 0, operation: 0, kind: 0, index: 0))
    let total = 1 << 26
    rates = Rate.measure(
      repetitions: repetitions,
      [
        Rate.Contestant(name: "libcrypto, in place", work: Double(total)) {
          StreamBenchmark.encrypt(byteCount: 1 << 16, times: total >> 16)
        },
        Rate.Contestant(name: "stream, 64 kB in a row", work: Double(total)) {
          var words = [UInt64](repeating: 0, count: 1 << 13)
          var span = words.mutableSpan
          for piece in 0..<(total >> 16) { stream.fill(&span, at: piece << 13) }
        },
        Rate.Contestant(
          name: "stream, as products take it: 24 rows of 512 words", work: Double(total)
        ) {
          let (rows, columns) = (24, 512)
          var words = [UInt64](repeating: 0, count: rows * columns)
          var span = words.mutableSpan
          for tile in 0..<(total / (8 * rows * columns)) {
            stream.fill(
              &span, rows: (tile * rows)..<((tile + 1) * rows), columns: 512..<(512 + columns),
              rowStride: 4096)
          }
        },
      ])
  }

  /// What `openssl speed -evp aes-256-ctr` does.
  private static func encrypt(byteCount: Int, times: Int) {
    guard let context = unsafe EVP_CIPHER_CTX_new() else { return }
    defer { unsafe EVP_CIPHER_CTX_free(context) }
    let key = [UInt8](repeating: 7, count: 32)
    let counter = [UInt8](repeating: 0, count: 16)
    unsafe EVP_EncryptInit_ex2(context, EVP_aes_256_ctr(), key, counter, nil)
    var bytes = [UInt8](repeating: 0, count: byteCount)
    unsafe bytes.withUnsafeMutableBufferPointer { bytes in
      for _ in 0..<times {
        var written: CInt = 0
        unsafe EVP_EncryptUpdate(
          context, bytes.baseAddress, &written, bytes.baseAddress, CInt(byteCount))
      }
    }
  }

  var document: TextDocument {
    var table = TextTable([("AES-256-CTR", .left), ("GB/s", .right), ("to libcrypto", .right)])
    for rate in rates {
      table.addRow([
        rate.name, decimal(rate.median / 1e9), decimal(rate.median / rates[0].median),
      ])
    }
    return TextDocument(table)
  }

  var json: JSON {
    .array(rates.map { ["name": .string($0.name), "bytesPerSecond": $0.json] })
  }
}
