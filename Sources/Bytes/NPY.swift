// Arrays in NumPy's .npy format, version 1.0: float32 and int32, little-endian, row-major.

/// float32 values in row-major order; `values.count` is the product of `shape`.
public struct NPYArray: Equatable, Sendable {
  public var shape: [Int]
  public var values: [Float]

  public init(shape: [Int], values: [Float]) {
    self.shape = shape
    self.values = values
  }
}

/// int32 values in row-major order; `values.count` is the product of `shape`.
public struct NPYIntegerArray: Equatable, Sendable {
  public var shape: [Int]
  public var values: [Int32]

  public init(shape: [Int], values: [Int32]) {
    self.shape = shape
    self.values = values
  }
}

/// Reads and writes .npy files (NumPy enhancement proposal 1).
public enum NPY {
  /// Reads a float32 array.
  /// - Throws: `InputError` for another type or version, column-major order, a header that is not
  ///   exactly what the format says, or a length that differs from the shape.
  public static func readFloats(_ path: String) throws(InputError) -> NPYArray {
    let (shape, words) = try readWords(path, descriptor: "<f4")
    return NPYArray(shape: shape, values: words.map { Float(bitPattern: $0) })
  }

  /// Reads an int32 array; throws as `readFloats` does.
  public static func readIntegers(_ path: String) throws(InputError) -> NPYIntegerArray {
    let (shape, words) = try readWords(path, descriptor: "<i4")
    return NPYIntegerArray(shape: shape, values: words.map { Int32(bitPattern: $0) })
  }

  /// Writes a float32 array; the same array always gives the same bytes.
  public static func write(_ array: NPYArray, to path: String) throws(InputError) {
    try write(array.values.map(\.bitPattern), descriptor: "<f4", shape: array.shape, to: path)
  }

  /// Writes an int32 array.
  public static func write(_ array: NPYIntegerArray, to path: String) throws(InputError) {
    let words = array.values.map { UInt32(bitPattern: $0) }
    try write(words, descriptor: "<i4", shape: array.shape, to: path)
  }

  private static func readWords(_ path: String, descriptor: String) throws(InputError)
    -> (shape: [Int], words: [UInt32])
  {
    let file = try MappedFile(path: path)
    let prefix = try file.bytes(in: 0..<min(file.byteCount, NPYHeader.longestByteCount))
    let header = try NPYHeader(prefix, fileByteCount: file.byteCount, source: path)
    guard header.descriptor == descriptor else {
      throw InputError(
        path, place: "descr", "found '\(header.descriptor)', expected '\(descriptor)'")
    }
    let words = file.withBytes { bytes in
      (0..<header.elementCount).map { index in
        UInt32(
          littleEndian: unsafe bytes.unsafeLoadUnaligned(
            fromByteOffset: header.byteCount + 4 * index, as: UInt32.self))
      }
    }
    return (header.shape, words)
  }

  private static func write(
    _ words: [UInt32], descriptor: String, shape: [Int], to path: String
  ) throws(InputError) {
    precondition(
      shape.allSatisfy { $0 >= 0 } && shape.reduce(1, *) == words.count,
      "the shape must describe the values")
    var bytes = NPYHeader.bytes(descriptor: descriptor, shape: shape)
    bytes.reserveCapacity(bytes.count + 4 * words.count)
    for word in words {
      for shift in stride(from: UInt32(0), to: 32, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> shift))
      }
    }
    try AtomicFile.write(bytes, to: path)
  }
}
