// One entry of a zip archive: its directory record, compared with its local header.

import Bytes

/// What the central directory says about an entry.
struct ZipHeader {
  private static let centralSignature: UInt32 = 0x0201_4b50
  private static let localSignature: UInt32 = 0x0403_4b50
  private static let descriptorSignature: UInt32 = 0x0807_4b50
  private static let wideExtra: UInt16 = 1
  /// Sizes and checksum follow the content.
  private static let hasDescriptor: UInt16 = 1 << 3
  private static let isUTF8: UInt16 = 1 << 11

  let name: String
  let crc: UInt32
  let byteCount: Int
  private let flags: UInt16
  private let localOffset: UInt64
  private let start: Int

  /// Reads the directory record at `cursor`.
  init(central cursor: inout ByteCursor) throws(InputError) {
    start = cursor.position
    guard try cursor.integer(UInt32.self, "directory entry") == ZipHeader.centralSignature else {
      throw cursor.failure("no directory entry where one is expected", at: start)
    }
    _ = try cursor.integer(UInt32.self, "versions")
    let common = try Common(&cursor)
    let nameByteCount = try cursor.integer(UInt16.self, "name length")
    let extraByteCount = try cursor.integer(UInt16.self, "extra length")
    let commentByteCount = try cursor.integer(UInt16.self, "comment length")
    let disk = try cursor.integer(UInt16.self, "disk number")
    _ = try cursor.skip(6, "attributes")
    let offset = try cursor.integer(UInt32.self, "local header offset")
    name = try cursor.text(byteCount: Int(nameByteCount), "entry name")
    var wide = try WideSizes(&cursor, byteCount: Int(extraByteCount))
    _ = try cursor.skip(Int(commentByteCount), "comment")
    guard disk == 0 else {
      throw cursor.failure("\"\(name)\" begins on another disk", at: start)
    }
    guard common.method == 0 else {
      throw cursor.failure(
        "\"\(name)\" is compressed by method \(common.method), only stored entries are read",
        at: start)
    }
    guard common.flags & ~(ZipHeader.hasDescriptor | ZipHeader.isUTF8) == 0 else {
      throw cursor.failure(
        "\"\(name)\" has flags \(common.flags), an encrypted or unknown entry", at: start)
    }
    let size = try wide.value(common.size, cursor, start)
    let storedSize = try wide.value(common.storedSize, cursor, start)
    localOffset = try wide.value(offset, cursor, start)
    guard size == storedSize, let count = Int(exactly: size) else {
      throw cursor.failure(
        "\"\(name)\" is stored in \(storedSize) bytes and has \(size)", at: start)
    }
    byteCount = count
    crc = common.crc
    flags = common.flags
  }

  /// Finds the content and makes sure that the local header and the descriptor say the same.
  /// - Returns: the content, and all bytes from the local header to the descriptor.
  func locate(in file: MappedFile, before end: Int) throws(InputError)
    -> (content: Range<Int>, whole: Range<Int>)
  {
    guard localOffset < UInt64(end) else {
      throw InputError(
        file.path, offset: start,
        "the header of \"\(name)\" at \(localOffset) is behind the entries")
    }
    let headerStart = Int(localOffset)
    var cursor = ByteCursor(file, in: headerStart..<end)
    guard try cursor.integer(UInt32.self, "local header") == ZipHeader.localSignature else {
      throw cursor.failure("no local header of \"\(name)\"", at: headerStart)
    }
    _ = try cursor.integer(UInt16.self, "version")
    let common = try Common(&cursor)
    let nameByteCount = try cursor.integer(UInt16.self, "name length")
    let extraByteCount = try cursor.integer(UInt16.self, "extra length")
    let localName = try cursor.text(byteCount: Int(nameByteCount), "entry name")
    var wide = try WideSizes(&cursor, byteCount: Int(extraByteCount))
    guard localName == name, common.method == 0, common.flags == flags else {
      throw cursor.failure(
        "the local header of \"\(name)\" has another name, method or flags", at: headerStart)
    }
    let size = try wide.value(common.size, cursor, headerStart)
    let storedSize = try wide.value(common.storedSize, cursor, headerStart)
    let isDeferred = flags & ZipHeader.hasDescriptor != 0
    // What the descriptor says may be zero here.
    let isCRCRight = common.crc == crc || isDeferred && common.crc == 0
    let areSizesRight = [size, storedSize].allSatisfy {
      $0 == byteCount || isDeferred && $0 == 0
    }
    guard isCRCRight, areSizesRight else {
      throw cursor.failure(
        "size or CRC in the local header of \"\(name)\" differs from the directory", at: headerStart
      )
    }
    let content = try cursor.skip(byteCount, "\"\(name)\"")
    if isDeferred { try passDescriptor(&cursor) }
    return (content, headerStart..<cursor.position)
  }

  /// Sizes of four or eight bytes, with or without a signature: the forms that writers use.
  private func passDescriptor(_ cursor: inout ByteCursor) throws(InputError) {
    let start = cursor.position
    for isSigned in [true, false] {
      for isWide in [false, true] {
        var attempt = cursor
        guard attempt.remainingByteCount >= (isSigned ? 4 : 0) + 4 + (isWide ? 16 : 8) else {
          continue
        }
        if isSigned,
          try attempt.integer(UInt32.self, "descriptor") != ZipHeader.descriptorSignature
        {
          continue
        }
        guard try attempt.integer(UInt32.self, "CRC") == crc else { continue }
        var sizes: [UInt64] = []
        for _ in 0..<2 {
          sizes.append(
            isWide
              ? try attempt.integer(UInt64.self, "size")
              : UInt64(try attempt.integer(UInt32.self, "size")))
        }
        if sizes == [UInt64(byteCount), UInt64(byteCount)] {
          cursor = attempt
          return
        }
      }
    }
    throw cursor.failure(
      "size or CRC behind \"\(name)\" is absent or differs from the directory", at: start)
  }

  /// The fields that both kinds of header share.
  private struct Common {
    let flags: UInt16
    let method: UInt16
    let crc: UInt32
    let storedSize: UInt32
    let size: UInt32

    init(_ cursor: inout ByteCursor) throws(InputError) {
      flags = try cursor.integer(UInt16.self, "flags")
      method = try cursor.integer(UInt16.self, "method")
      _ = try cursor.skip(4, "time")
      crc = try cursor.integer(UInt32.self, "CRC")
      storedSize = try cursor.integer(UInt32.self, "stored size")
      size = try cursor.integer(UInt32.self, "size")
    }
  }

  /// The values of the zip64 extra field: each stands for a field that is all ones, in their order.
  private struct WideSizes {
    private var values: [UInt64] = []
    private var next = 0

    init(_ cursor: inout ByteCursor, byteCount: Int) throws(InputError) {
      let range = try cursor.skip(byteCount, "extra fields")
      var extra = ByteCursor(cursor.file, in: range)
      // Fewer than four bytes are padding, which some writers leave.
      while extra.remainingByteCount >= 4 {
        let start = extra.position
        let kind = try extra.integer(UInt16.self, "extra field")
        let count = Int(try extra.integer(UInt16.self, "extra length"))
        let content = try extra.skip(count, "extra field \(kind)")
        guard kind == ZipHeader.wideExtra else { continue }
        guard values.isEmpty else { throw extra.failure("a second zip64 field", at: start) }
        var words = ByteCursor(cursor.file, in: content)
        while words.remainingByteCount >= 8 {
          values.append(try words.integer(UInt64.self, "zip64 value"))
        }
      }
    }

    /// `narrow`, or where it is all ones the next of the values.
    mutating func value(_ narrow: UInt32, _ cursor: ByteCursor, _ start: Int) throws(InputError)
      -> UInt64
    {
      guard narrow == .max else { return UInt64(narrow) }
      guard next < values.count else {
        throw cursor.failure("the zip64 field lacks a size or an offset", at: start)
      }
      defer { next += 1 }
      return values[next]
    }
  }
}
