// Little-endian values one after the other from a mapped file; every read is checked.

/// A position in part of a file; what is read names itself, so that a file that ends early says
/// where.
package struct ByteCursor {
  package let file: MappedFile
  package private(set) var position: Int
  package let end: Int

  /// Reads `range`, which must lie in `file`.
  package init(_ file: MappedFile, in range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= file.byteCount)
    self.file = file
    position = range.lowerBound
    end = range.upperBound
  }

  package init(_ file: MappedFile) { self.init(file, in: 0..<file.byteCount) }

  package var remainingByteCount: Int { end - position }

  /// An error at `offset`, or at the next byte.
  package func failure(_ cause: String, at offset: Int? = nil, hint: String = "") -> InputError {
    InputError(file.path, offset: offset ?? position, cause, hint: hint)
  }

  /// The next `byteCount` bytes' range, passed over.
  package mutating func skip(_ byteCount: Int, _ what: String) throws(InputError) -> Range<Int> {
    guard byteCount >= 0, byteCount <= remainingByteCount else {
      throw failure("\(what) needs \(byteCount) bytes, \(remainingByteCount) follow")
    }
    defer { position += byteCount }
    return position..<position + byteCount
  }

  /// The next integer of the width of `type`.
  @inlinable
  package mutating func integer<T: FixedWidthInteger>(_ type: T.Type, _ what: String)
    throws(InputError) -> T
  {
    T(truncatingIfNeeded: try unsigned(byteCount: MemoryLayout<T>.size, what))
  }

  /// An unsigned integer of 1 to 8 bytes.
  package mutating func unsigned(byteCount: Int, _ what: String) throws(InputError) -> UInt64 {
    precondition((1...8).contains(byteCount))
    let range = try skip(byteCount, what)
    return file.withBytes { bytes in
      var value: UInt64 = 0
      for index in range.reversed() {
        value = value << 8 | UInt64(unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self))
      }
      return value
    }
  }

  /// `byteCount` bytes of UTF-8.
  package mutating func text(byteCount: Int, _ what: String) throws(InputError) -> String {
    let range = try skip(byteCount, what)
    guard let text = String(validating: try file.bytes(in: range), as: UTF8.self) else {
      throw failure("\(what) is not valid UTF-8", at: range.lowerBound)
    }
    return text
  }

  /// Moves to `offset`, which must lie in the part that is read.
  package mutating func move(to offset: Int) {
    precondition(offset <= end)
    position = offset
  }
}
