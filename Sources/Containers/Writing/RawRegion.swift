// The handle through which threads fill a raw dataset of a container under construction.

public import Bytes

/// One raw dataset of a `ContainerWriter`; copies of it may be used by several threads at once.
///
/// Threads write disjoint ranges; `finish` throws where an element was never written. Elements
/// outside the dataset, another type than that of the dataset, and writing after `finish` are
/// misuse and trap.
///
///     let region = writer.region(of: "shares")
///     DispatchQueue.concurrentPerform(iterations: rowCount) { row in
///       ... try region.write(words(ofRow: row), atElement: row * width) ...
///     }
public struct RawRegion: Sendable {
  public let description: DatasetDescription
  let file: OpenFile
  let progress: FillProgress
  /// Place in the list of datasets.
  let index: Int
  /// First byte in the file.
  let offset: Int

  /// Writes `values` as elements `first` and following.
  public func write<T: ContainerElement>(_ values: [T], atElement first: Int) throws(InputError) {
    try write(values.span, atElement: first)
  }

  /// Writes `values` as elements `first` and following.
  public func write<T: ContainerElement>(
    _ values: Span<T>, atElement first: Int
  ) throws(InputError) {
    requireType(T.elementType)
    try unsafe write(bytes: values.bytes, atElement: first)
  }

  /// Writes `bytes`, whole little-endian elements, as elements `first` and following.
  public func write(bytes: RawSpan, atElement first: Int) throws(InputError) {
    let size = description.elementType.byteCount
    precondition(bytes.byteCount % size == 0, "bytes end inside an element")
    let range = byteRange(of: first..<first + bytes.byteCount / size)
    try unsafe bytes.withUnsafeBytes { (bytes) throws(InputError) in
      try progress.writing { () throws(InputError) in
        try unsafe file.write(bytes, at: offset + range.lowerBound)
        progress.add(range, to: index)
      }
    }
  }

  /// Says the SHA-256 of all bytes, which have been written: `finish` need not read them again.
  public func setDigest(_ digest: [UInt8]) {
    precondition(digest.count == 32, "a SHA-256 has 32 bytes")
    progress.add(0..<0, to: index, digest: digest)
  }

  /// Calls `body` with the mapped bytes of `elements` (of all of them where nil) to be filled.
  ///
  /// Disk space is reserved before, so storing cannot fail. All of the range counts as written.
  public func withMutableBytes<R>(
    of elements: Range<Int>? = nil, _ body: (inout MutableRawSpan) throws(InputError) -> R
  ) throws(InputError) -> R {
    let range = byteRange(of: elements ?? 0..<description.elementCount)
    let place = offset + range.lowerBound..<offset + range.upperBound
    return try progress.writing { () throws(InputError) in
      let result = try unsafe file.withMapping(of: place) { (buffer) throws(InputError) in
        var span = unsafe MutableRawSpan(_unsafeBytes: buffer)
        return try body(&span)
      }
      progress.add(range, to: index)
      return result
    }
  }

  func requireType(_ type: ElementType) {
    precondition(
      type == description.elementType,
      "dataset \(description.name) is \(description.elementType.rawValue), not \(type.rawValue)")
  }

  private func byteRange(of elements: Range<Int>) -> Range<Int> {
    precondition(
      elements.lowerBound >= 0 && elements.upperBound <= description.elementCount,
      "elements \(elements) are outside dataset \(description.name)")
    let size = description.elementType.byteCount
    return elements.lowerBound * size..<elements.upperBound * size
  }
}
