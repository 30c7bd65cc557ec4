// The object header of an HDF5 group or dataset (File Format Specification, section IV.A), version
// 1.

import Bytes

/// The messages of one object, where they lie in the file.
struct HDF5ObjectHeader {
  /// Numbers of the messages that matter here.
  enum Kind: UInt16 {
    case dataspace = 1
    case linkInfo = 2
    case datatype = 3
    case link = 6
    case externalFiles = 7
    case layout = 8
    case filters = 11
    case continuation = 16
    case symbolTable = 17
  }

  static let maximumBlockCount = 256

  let address: Int
  private let file: MappedFile
  private var messages: [(kind: Kind, flags: UInt8, range: Range<Int>)] = []

  /// Reads the header at `address`, and the blocks that continue it.
  init(_ file: MappedFile, at address: HDF5Address, budget: inout HDF5Budget)
    throws(InputError)
  {
    var cursor = try ByteCursor(file, at: address, "object header")
    self.file = file
    self.address = cursor.position
    let version = try cursor.integer(UInt8.self, "object header")
    guard version == 1 else {
      throw cursor.failure(
        "no HDF5 object header of version 1", at: self.address, hint: HDF5Superblock.hint)
    }
    _ = try cursor.skip(1, "reserved byte")
    let count = Int(try cursor.integer(UInt16.self, "message count"))
    _ = try cursor.skip(4, "reference count")
    let byteCount = Int(try cursor.integer(UInt32.self, "header size"))
    _ = try cursor.skip(4, "padding")
    var blocks = [try cursor.skip(byteCount, "object header")]
    var seen = 0
    var next = 0
    while next < blocks.count {
      var block = ByteCursor(file, in: blocks[next])
      next += 1
      while block.remainingByteCount >= 8, seen < count {
        seen += 1
        try budget.takeMessage(block)
        let number = try block.integer(UInt16.self, "message type")
        let size = Int(try block.integer(UInt16.self, "message size"))
        let flags = try block.integer(UInt8.self, "message flags")
        _ = try block.skip(3, "reserved bytes")
        let range = try block.skip(size, "message \(number)")
        guard let kind = Kind(rawValue: number) else { continue }
        messages.append((kind, flags, range))
        guard kind == .continuation else { continue }
        var place = ByteCursor(file, in: range)
        let offset = try place.address("continuation offset")
        let length = try place.integer(UInt64.self, "continuation length")
        guard blocks.count < HDF5ObjectHeader.maximumBlockCount else {
          throw place.failure("an object header in more than 256 blocks", at: range.lowerBound)
        }
        var start = try ByteCursor(file, at: offset, "continuation")
        guard length <= UInt64(start.remainingByteCount) else {
          throw place.failure("a continuation beyond the end of the file", at: range.lowerBound)
        }
        blocks.append(try start.skip(Int(length), "continuation"))
      }
    }
  }

  func has(_ kind: Kind) -> Bool { messages.contains { $0.kind == kind } }

  /// The content of every message of `kind`.
  func all(_ kind: Kind) throws(InputError) -> [ByteCursor] {
    var result: [ByteCursor] = []
    for message in messages where message.kind == kind {
      guard message.flags & 2 == 0 else {
        throw InputError(
          file.path, offset: message.range.lowerBound, "shared messages are not read",
          hint: HDF5Superblock.hint)
      }
      result.append(ByteCursor(file, in: message.range))
    }
    return result
  }

  /// The content of the one message of `kind`, or nil where there is none.
  func one(_ kind: Kind) throws(InputError) -> ByteCursor? {
    let found = try all(kind)
    guard found.count <= 1 else {
      throw InputError(
        file.path, offset: address, "the object has \(found.count) messages of one kind, \(kind)")
    }
    return found.first
  }
}
