// How much memory a file may make a reader take.

/// Sizes that a file declares and does not hold are refused beyond this.
enum AllocationLimit {
  static let overheadByteCount = 64 << 20

  /// The size of the file and 64 MiB.
  static func byteCount(fileByteCount: Int) -> Int {
    let (sum, overflow) = fileByteCount.addingReportingOverflow(overheadByteCount)
    return overflow ? Int.max : sum
  }
}
