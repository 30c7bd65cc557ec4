// Overwriting secrets in arrays before their memory goes back to the allocator.

internal import COpenSSL

extension Array where Element: BitwiseCopyable {
  /// Overwrites all elements with zeros and empties the array.
  ///
  /// Only this copy is wiped: an array that shares its elements with another is copied first, so a
  /// secret must have one owner when it is wiped.
  public mutating func wipe() {
    unsafe withUnsafeMutableBytes { bytes in
      unsafe OPENSSL_cleanse(bytes.baseAddress, bytes.count)
    }
    removeAll()
  }
}
