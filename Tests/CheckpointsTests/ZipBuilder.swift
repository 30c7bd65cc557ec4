// Writes zip archives for tests, with any field wrong that a test asks for.

import Foundation

/// Stored entries laid out as zipfile and PyTorch lay them out.
struct ZipBuilder {
  struct Entry {
    var name: String
    var content: [UInt8]
    var method: UInt16 = 0
    var flags: UInt16 = 0
    /// In both headers; the true checksum where nil.
    var crc: UInt32?
    /// In the local header alone.
    var localCRC: UInt32?
    var localName: String?
    var localMethod: UInt16?
    /// Of the local header, where another than the true one is to be stated.
    var offset: Int?
    var storedSize: Int?
    var hasDescriptor = false
    var isDescriptorWrong = false
    var isWide = false
    /// How often the zip64 field is there, and what follows it.
    var extraCopies = 1
    var extraTail: [UInt8] = []
    var disk: UInt16 = 0
    var centralSignature = "PK\u{1}\u{2}"
    /// Instead of the name's UTF-8.
    var nameBytes: [UInt8]?
    /// Whether its header and content lie, at `offset`, in the content of another entry.
    var isInside = false
  }

  /// The zip64 end record and its locator.
  struct WideEnd {
    var signature = "PK\u{6}\u{6}"
    var isAbsent = false
    var byteCount = 44
    var disk: UInt32 = 0
    var count: Int?
    /// What the end record says instead of "see zip64".
    var narrowCount: UInt16 = .max
    var locatorDisk: UInt32 = 0
    var offset: Int?
  }

  var entries: [Entry] = []
  var comment: [UInt8] = []
  /// Stated number of entries, where not the true one.
  var count: Int?
  var wideEnd: WideEnd?
  var disk: UInt16 = 0
  /// How far beyond its place the directory is stated to begin.
  var directoryShift = 0

  static func crc32(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(~UInt32(0)) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc >> 1 ^ (crc & 1 == 0 ? 0 : 0xedb8_8320) }
    }
  }

  private func putCommon(
    _ writer: inout ByteWriter, _ entry: Entry, crc: UInt32, isLocal: Bool
  ) {
    let isDeferred = isLocal && entry.hasDescriptor
    let size = UInt32(entry.content.count)
    let stated = entry.isWide ? UInt32.max : isDeferred ? 0 : size
    writer.put(entry.flags | (entry.hasDescriptor ? 8 : 0))
    writer.put(isLocal ? entry.localMethod ?? entry.method : entry.method)
    writer.put(UInt32(0))
    writer.put(isDeferred ? 0 : crc)
    writer.put(entry.storedSize.map { UInt32($0) } ?? stated)
    writer.put(stated)
  }

  private func extra(_ entry: Entry) -> [UInt8] {
    guard entry.isWide else { return [] }
    var writer = ByteWriter()
    for _ in 0..<entry.extraCopies {
      writer.put(UInt16(1))
      writer.put(UInt16(16))
      writer.put(UInt64(entry.content.count))
      writer.put(UInt64(entry.content.count))
    }
    return writer.bytes + entry.extraTail
  }

  private func putLocal(_ writer: inout ByteWriter, _ entry: Entry, crc: UInt32) {
    let name = entry.nameBytes ?? Array((entry.localName ?? entry.name).utf8)
    writer.put("PK\u{3}\u{4}")
    writer.put(UInt16(45))
    putCommon(&writer, entry, crc: entry.localCRC ?? crc, isLocal: true)
    writer.put(UInt16(name.count))
    writer.put(UInt16(extra(entry).count))
    writer.put(name)
    writer.put(extra(entry))
    writer.put(entry.content)
    guard entry.hasDescriptor else { return }
    writer.put("PK\u{7}\u{8}")
    writer.put(entry.isDescriptorWrong ? crc ^ 1 : crc)
    for _ in 0..<2 {
      if entry.isWide {
        writer.put(UInt64(entry.content.count))
      } else {
        writer.put(UInt32(entry.content.count))
      }
    }
  }

  private func putCentral(
    _ writer: inout ByteWriter, _ entry: Entry, crc: UInt32, offset: Int
  ) {
    writer.put(entry.centralSignature)
    writer.put(UInt32(45))
    putCommon(&writer, entry, crc: crc, isLocal: false)
    let name = entry.nameBytes ?? Array(entry.name.utf8)
    writer.put(UInt16(name.count))
    writer.put(UInt16(extra(entry).count))
    writer.put(UInt16(0))
    writer.put(entry.disk)
    writer.put([UInt8](repeating: 0, count: 6))
    writer.put(UInt32(offset))
    writer.put(name)
    writer.put(extra(entry))
  }

  var bytes: [UInt8] {
    var writer = ByteWriter()
    var directory = ByteWriter()
    for entry in entries {
      let crc = entry.crc ?? ZipBuilder.crc32(entry.content)
      putCentral(&directory, entry, crc: crc, offset: entry.offset ?? writer.bytes.count)
      if !entry.isInside { putLocal(&writer, entry, crc: crc) }
    }
    let start = writer.bytes.count
    writer.put(directory.bytes)
    if let wideEnd {
      let record = writer.bytes.count
      if !wideEnd.isAbsent {
        writer.put(wideEnd.signature)
        writer.put(UInt64(wideEnd.byteCount))
        // Versions, this disk, and the disk of the directory.
        for value in [0, wideEnd.disk, 0] { writer.put(value) }
        let count = wideEnd.count ?? entries.count
        for value in [count, count, directory.bytes.count, start] { writer.put(UInt64(value)) }
      }
      writer.put("PK\u{6}\u{7}")
      writer.put(wideEnd.locatorDisk)
      writer.put(UInt64(wideEnd.offset ?? record))
      writer.put(UInt32(1))
    }
    writer.put("PK\u{5}\u{6}")
    writer.put(disk)
    writer.put(disk)
    for _ in 0..<2 { writer.put(wideEnd?.narrowCount ?? UInt16(count ?? entries.count)) }
    writer.put(wideEnd == nil ? UInt32(directory.bytes.count) : .max)
    writer.put(wideEnd == nil ? UInt32(start + directoryShift) : .max)
    writer.put(UInt16(comment.count))
    writer.put(comment)
    return writer.bytes
  }
}
