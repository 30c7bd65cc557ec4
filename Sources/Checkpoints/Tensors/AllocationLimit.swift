// How much memory a file may make a reader take.

/// Sizes that a file declares and does not hold are refused beyond these.
enum AllocationLimit {
  static let overheadByteCount = 64 << 20

  /// The size of the file and 64 MiB: all that reading one tensor may take at a time.
  static func byteCount(fileByteCount: Int) -> Int {
    let (sum, overflow) = fileByteCount.addingReportingOverflow(overheadByteCount)
    return overflow ? Int.max : sum
  }

  /// For elements that the file does not hold one by one, such as compressed or repeated ones, an
  /// eighth of that, which leaves room for their copies; or the size of the file.
  static func repeatedByteCount(fileByteCount: Int) -> Int {
    max(fileByteCount, byteCount(fileByteCount: fileByteCount) / 8)
  }
}
