// A reader of zip archives with stored entries (APPNOTE 6.3.10), as PyTorch writes them.

import Bytes

/// The entries of an archive whose central directory, local headers and descriptors agree.
///
/// Entries must be stored, must not be encrypted, and must not overlap; zip64 is read.
struct ZipArchive: Sendable {
  struct Entry: Sendable, Equatable {
    var name: String
    /// The content; stored, so these are the bytes themselves.
    var byteRange: Range<Int>
    var crc: UInt32
    /// Where its local header begins.
    var headerOffset: Int
  }

  static let maximumEntryCount = 1 << 18

  let file: MappedFile
  let entries: [Entry]
  /// Where the central directory begins.
  let directoryOffset: Int

  /// Reads and checks the structure of the archive; contents are not touched.
  /// - Throws: `InputError` with the byte at which a rule is broken.
  init(_ file: MappedFile) throws(InputError) {
    let end = try ZipDirectoryEnd(file)
    var cursor = ByteCursor(file, in: end.directory)
    var entries: [Entry] = []
    var extents: [(range: Range<Int>, name: String)] = []
    var names: Set<String> = []
    var extentByteCount = 0
    for _ in 0..<end.entryCount {
      let start = cursor.position
      let central = try ZipHeader(central: &cursor)
      guard names.insert(central.name).inserted else {
        throw cursor.failure("a second entry is named \"\(central.name)\"", at: start)
      }
      let place = try central.locate(in: file, before: end.directory.lowerBound)
      entries.append(
        Entry(
          name: central.name, byteRange: place.content, crc: central.crc,
          headerOffset: place.whole.lowerBound))
      extents.append((place.whole, central.name))
      // Entries that take more than the file overlap: reading all their headers could take long.
      extentByteCount += place.whole.count
      if extentByteCount > file.byteCount { break }
    }
    extents.sort {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }
    for (first, second) in zip(extents, extents.dropFirst())
    where second.range.lowerBound < first.range.upperBound {
      throw InputError(
        file.path, offset: second.range.lowerBound,
        "entries \"\(first.name)\" and \"\(second.name)\" overlap")
    }
    guard cursor.remainingByteCount == 0 else {
      throw cursor.failure("\(cursor.remainingByteCount) bytes after the last directory entry")
    }
    self.file = file
    self.entries = entries
    directoryOffset = end.directory.lowerBound
  }

  /// Compares the content of `entry` with its checksum.
  func verify(_ entry: Entry) throws(InputError) {
    var crc: UInt32 = 0
    var start = entry.byteRange.lowerBound
    while start < entry.byteRange.upperBound {
      let block = start..<min(start + (4 << 20), entry.byteRange.upperBound)
      crc = file.withBytes { Checksum.crc32($0.extracting(block), after: crc) }
      file.release(block)
      start = block.upperBound
    }
    guard crc == entry.crc else {
      throw InputError(
        file.path, offset: entry.byteRange.lowerBound,
        "the CRC of \"\(entry.name)\" is \(Checksum.text(crc)), expected \(Checksum.text(entry.crc))"
      )
    }
  }
}
