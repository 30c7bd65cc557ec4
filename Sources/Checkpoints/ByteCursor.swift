// Little-endian values one after the other from a mapped file; every read is checked.

import Bytes

/// A position in part of a file; what is read names itself, so that a file that ends early says
/// where.
struct ByteCursor {
  let file: MappedFile
  private(set) var position: Int
  let end: Int

  /// Reads `range`, which must lie in `file`.
  init(_ file: MappedFile, in range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= file.byteCount)
    self.file = file
    position = range.lowerBound
    end = range.upperBound
  }

  init(_ file: MappedFile) { self.init(file, in: 0..<file.byteCount) }

  var remainingByteCount: Int { end - position }

  /// An error at `offset`, or at the next byte.
  func failure(_ cause: String, at offset: Int? = nil, hint: String = "") -> InputError {
    InputError(file.path, offset: offset ?? position, cause, hint: hint)
  }

  /// The next `byteCount` bytes' range, passed over.
  mutating func skip(_ byteCount: Int, _ what: String) throws(InputError) -> Range<Int> {
    guard byteCount >= 0, byteCount <= remainingByteCount else {
      throw failure("\(what) needs \(byteCount) bytes, \(remainingByteCount) follow")
    }
    defer { position += byteCount }
    return position..<position + byteCount
  }

  mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, _ what: String)
    throws(InputError) -> T
  {
    let range = try skip(MemoryLayout<T>.size, what)
    return file.withBytes { bytes in
      T(
        littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: range.lowerBound, as: T.self)
      )
    }
  }

  /// `byteCount` bytes of UTF-8.
  mutating func text(byteCount: Int, _ what: String) throws(InputError) -> String {
    let range = try skip(byteCount, what)
    guard let text = String(validating: try file.bytes(in: range), as: UTF8.self) else {
      throw failure("\(what) is not valid UTF-8", at: range.lowerBound)
    }
    return text
  }

  /// Moves to `offset`, which must lie in the part that is read.
  mutating func move(to offset: Int) {
    precondition(offset <= end)
    position = offset
  }
}
