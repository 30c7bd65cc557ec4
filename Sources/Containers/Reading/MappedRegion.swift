// The mapped bytes of one raw dataset, for readers that come back to it many times.

public import Bytes

/// A raw dataset of an open container in memory; may be read from several threads at once.
///
/// All regions of a container share one mapping of its file, which goes with the last of them.
public struct MappedRegion: Sendable {
  public let description: DatasetDescription
  private let file: MappedFile
  /// First byte in the file.
  private let offset: Int

  init(_ description: DatasetDescription, in file: MappedFile, at offset: Int) {
    self.description = description
    self.file = file
    self.offset = offset
  }

  /// Calls `body` with the bytes of `elements`, counted row-major.
  /// - Throws: `InputError` where they are not all in the dataset, or the file was cut short.
  public func withBytes<R>(
    of elements: Range<Int>, _ body: (RawSpan) throws(InputError) -> R
  ) throws(InputError) -> R {
    let bytes = try description.byteRange(
      of: elements, as: description.elementType, source: file.path)
    try file.checkSize()
    return try file.withBytes { (all) throws(InputError) in
      try body(all.extracting(offset + bytes.lowerBound..<offset + bytes.upperBound))
    }
  }

  /// The words at `ranges` of a dataset of bytes, [words, 1...8] little-endian, one after the other.
  public func words(at ranges: [Range<Int>]) throws(InputError) -> [UInt64] {
    guard description.shape.count == 2, (1...8).contains(description.shape[1]) else {
      throw InputError(
        file.path, place: description.name,
        "has the shape \(description.shape), words of 1 to 8 bytes are expected")
    }
    let byteCount = description.shape[1]
    var places: [Range<Int>] = []
    for range in ranges {
      let bytes = try description.byteRange(
        of: range.lowerBound * byteCount..<range.upperBound * byteCount, as: .u8,
        source: file.path)
      places.append(offset + bytes.lowerBound..<offset + bytes.upperBound)
    }
    try file.checkSize()
    return file.withBytes { all in
      unsafe all.withUnsafeBytes { all in
        unsafe [UInt64](unsafeUninitializedCapacity: ranges.reduce(0) { $0 + $1.count }) {
          buffer, count in
          for place in places {
            unsafe PackedWords.unpack(
              UnsafeRawBufferPointer(rebasing: all[place]), byteCount: byteCount,
              into: UnsafeMutableBufferPointer(rebasing: buffer[count...]))
            count += place.count / byteCount
          }
        }
      }
    }
  }
}

extension DatasetDescription {
  /// Bytes of `elements` in the uncompressed dataset.
  /// - Throws: `InputError` naming `source` where it has another type or not so many elements.
  func byteRange(of elements: Range<Int>, as type: ElementType, source: String)
    throws(InputError) -> Range<Int>
  {
    guard type == elementType else {
      throw InputError(
        source, place: name, "holds \(elementType.rawValue), \(type.rawValue) is expected")
    }
    guard elements.lowerBound >= 0, elements.upperBound <= elementCount else {
      throw InputError(
        source, place: name, "elements \(elements) are outside its \(elementCount)")
    }
    let size = elementType.byteCount
    return elements.lowerBound * size..<elements.upperBound * size
  }
}
