// The end of a zip archive: where its central directory lies and how many entries it has.

import Bytes

/// The end record, and the zip64 end record where there is one.
struct ZipDirectoryEnd {
  static let byteCount = 22
  private static let signature: UInt32 = 0x0605_4b50
  private static let signature64: UInt32 = 0x0606_4b50
  private static let locatorSignature: UInt32 = 0x0706_4b50
  private static let locatorByteCount = 20

  let entryCount: Int
  let directory: Range<Int>

  init(_ file: MappedFile) throws(InputError) {
    let start = try ZipDirectoryEnd.find(file)
    var cursor = ByteCursor(file, in: start..<file.byteCount)
    _ = try cursor.integer(UInt32.self, "end of directory")
    let disk = try cursor.integer(UInt16.self, "disk number")
    let directoryDisk = try cursor.integer(UInt16.self, "disk of the directory")
    let countHere = try cursor.integer(UInt16.self, "entry count")
    var count = UInt64(try cursor.integer(UInt16.self, "entry count"))
    var size = UInt64(try cursor.integer(UInt32.self, "directory size"))
    var offset = UInt64(try cursor.integer(UInt32.self, "directory offset"))
    guard disk == 0 || disk == 0xffff, directoryDisk == 0 || directoryDisk == 0xffff,
      UInt64(countHere) == count
    else { throw cursor.failure("the end record tells of several disks", at: start) }
    var limit = start
    if let wide = try ZipDirectoryEnd.wideRecord(file, before: start) {
      for (name, narrow, value, all) in [
        ("entry count", count, wide.count, UInt64(UInt16.max)),
        ("directory size", size, wide.size, UInt64(UInt32.max)),
        ("directory offset", offset, wide.offset, UInt64(UInt32.max)),
      ] where narrow != value && narrow != all {
        throw cursor.failure(
          "\(name) \(narrow) differs from that of the zip64 record, \(value)", at: start)
      }
      (count, size, offset, limit) = (wide.count, wide.size, wide.offset, wide.start)
    } else if count == 0xffff || size == 0xffff_ffff || offset == 0xffff_ffff {
      throw cursor.failure("the zip64 end record is missing", at: start)
    }
    guard offset <= UInt64(limit), size == UInt64(limit) - offset else {
      throw cursor.failure(
        "a directory of \(size) bytes at \(offset) does not end at byte \(limit), where it must",
        at: start)
    }
    guard count <= UInt64(ZipArchive.maximumEntryCount) else {
      throw cursor.failure(
        "\(count) entries, at most \(ZipArchive.maximumEntryCount) are read", at: start)
    }
    entryCount = Int(count)
    directory = Int(offset)..<limit
  }

  /// The last end record whose comment ends with the file.
  private static func find(_ file: MappedFile) throws(InputError) -> Int {
    let first = max(0, file.byteCount - byteCount - Int(UInt16.max))
    let tail = try file.bytes(in: first..<file.byteCount)
    var position = tail.count - byteCount
    while position >= 0 {
      if tail[position] == 0x50, tail[position + 1] == 0x4b, tail[position + 2] == 5,
        tail[position + 3] == 6,
        Int(tail[position + 20]) | Int(tail[position + 21]) << 8
          == tail.count - byteCount - position
      {
        return first + position
      }
      position -= 1
    }
    throw InputError(
      file.path, offset: file.byteCount, "the zip archive has no end of directory",
      hint: "the file is probably cut off: copy or download it again")
  }

  private struct WideRecord {
    var start: Int
    var count: UInt64
    var size: UInt64
    var offset: UInt64
  }

  /// The zip64 record whose locator stands right before the end record, or nil.
  private static func wideRecord(_ file: MappedFile, before end: Int) throws(InputError)
    -> WideRecord?
  {
    guard end >= locatorByteCount else { return nil }
    var locator = ByteCursor(file, in: end - locatorByteCount..<end)
    guard try locator.integer(UInt32.self, "locator") == locatorSignature else { return nil }
    let disk = try locator.integer(UInt32.self, "disk number")
    let offset = try locator.integer(UInt64.self, "zip64 record offset")
    let diskCount = try locator.integer(UInt32.self, "disk count")
    guard disk == 0, diskCount <= 1 else {
      throw locator.failure("the zip64 locator tells of several disks", at: end - locatorByteCount)
    }
    let limit = end - locatorByteCount
    guard offset <= UInt64(limit) else {
      throw locator.failure("the zip64 record at \(offset) is not before its locator", at: limit)
    }
    let start = Int(offset)
    var cursor = ByteCursor(file, in: start..<limit)
    guard try cursor.integer(UInt32.self, "zip64 end record") == signature64 else {
      throw cursor.failure("no zip64 end record, to which its locator points", at: start)
    }
    let recordByteCount = try cursor.integer(UInt64.self, "zip64 record size")
    guard recordByteCount == UInt64(cursor.remainingByteCount), recordByteCount >= 44 else {
      throw cursor.failure(
        "zip64 record of \(recordByteCount) bytes does not end at its locator", at: start)
    }
    _ = try cursor.integer(UInt32.self, "versions")
    let disks = try cursor.integer(UInt64.self, "disk numbers")
    let countHere = try cursor.integer(UInt64.self, "entry count")
    let count = try cursor.integer(UInt64.self, "entry count")
    let size = try cursor.integer(UInt64.self, "directory size")
    let directory = try cursor.integer(UInt64.self, "directory offset")
    guard disks == 0, count == countHere else {
      throw cursor.failure("the zip64 record tells of several disks", at: start)
    }
    return WideRecord(start: start, count: count, size: size, offset: directory)
  }
}
