// The object header of an HDF5 group or dataset (File Format Specification, section IV.A).

package import Bytes

/// The messages of one object, where they lie in the file.
package struct HDF5ObjectHeader {
  /// Numbers of the messages that matter here.
  package enum Kind: UInt16 {
    case dataspace = 1
    case linkInfo = 2
    case datatype = 3
    case link = 6
    case externalFiles = 7
    case layout = 8
    case filters = 11
    case attribute = 12
    case continuation = 16
    case symbolTable = 17
    case attributeInfo = 21
  }

  private static let maximumBlockCount = 256

  package let address: Int
  let generation: HDF5Generation
  private let file: MappedFile
  private var messages: [(kind: Kind, flags: UInt8, range: Range<Int>)] = []
  /// Messages of the header, continuations included, as far as they are stated.
  private var blocks: [Range<Int>] = []

  /// Reads the header at `address`, and the blocks that continue it.
  package init(
    _ file: MappedFile, at address: HDF5Address, generation: HDF5Generation,
    budget: inout HDF5Budget
  ) throws(InputError) {
    let cursor = try ByteCursor(file, at: address, "object header")
    self.file = file
    self.address = cursor.position
    self.generation = generation
    switch generation {
    case .classic: try readClassic(cursor, &budget)
    case .checksummed: try readChecksummed(cursor, &budget)
    }
  }

  /// Version 1: a prefix with the number of messages.
  private mutating func readClassic(_ cursor: ByteCursor, _ budget: inout HDF5Budget)
    throws(InputError)
  {
    var cursor = cursor
    let version = try cursor.integer(UInt8.self, "object header")
    guard version == 1 else {
      throw cursor.failure(
        "no HDF5 object header of version 1", at: address, hint: HDF5Superblock.hint)
    }
    _ = try cursor.skip(1, "reserved byte")
    let count = Int(try cursor.integer(UInt16.self, "message count"))
    _ = try cursor.skip(4, "reference count")
    let byteCount = Int(try cursor.integer(UInt32.self, "header size"))
    _ = try cursor.skip(4, "padding")
    blocks = [try cursor.skip(byteCount, "object header")]
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
        try add(number, flags, block.skip(size, "message \(number)"))
      }
    }
  }

  /// Version 2: blocks with signatures and checksums.
  private mutating func readChecksummed(_ cursor: ByteCursor, _ budget: inout HDF5Budget)
    throws(InputError)
  {
    var cursor = cursor
    try cursor.expect("OHDR", "object header")
    try cursor.expect(version: 2, of: "object header")
    let flags = try cursor.integer(UInt8.self, "object header flags")
    if flags & 32 != 0 { _ = try cursor.skip(16, "times") }
    if flags & 16 != 0 { _ = try cursor.skip(4, "attribute limits") }
    let byteCount = try cursor.unsigned(byteCount: 1 << Int(flags & 3), "header size")
    let prefixEnd = cursor.position
    _ = try cursor.skip(Int(clamping: byteCount), "object header")
    try readBlock(prefixEnd..<cursor.position, flags, &budget)
    try cursor.expectChecksum(from: address, "object header", budget: &budget)
    var next = 0
    while next < blocks.count {
      let range = blocks[next]
      next += 1
      var block = ByteCursor(file, in: range)
      try block.expect("OCHK", "continuation")
      guard block.remainingByteCount >= 4 else {
        throw block.failure("a continuation without its checksum", at: range.lowerBound)
      }
      let start = block.position
      _ = try block.skip(block.remainingByteCount - 4, "continuation")
      try readBlock(start..<block.position, flags, &budget)
      try block.expectChecksum(from: range.lowerBound, "continuation", budget: &budget)
    }
  }

  private mutating func readBlock(
    _ range: Range<Int>, _ headerFlags: UInt8, _ budget: inout HDF5Budget
  ) throws(InputError) {
    var block = ByteCursor(file, in: range)
    let hasCreationOrder = headerFlags & 4 != 0
    // Less than a message may be left over.
    while block.remainingByteCount >= (hasCreationOrder ? 6 : 4) {
      try budget.takeMessage(block)
      let number = try block.integer(UInt8.self, "message type")
      let size = Int(try block.integer(UInt16.self, "message size"))
      let flags = try block.integer(UInt8.self, "message flags")
      if hasCreationOrder { _ = try block.skip(2, "creation order") }
      try add(UInt16(number), flags, block.skip(size, "message \(number)"))
    }
  }

  /// Keeps a message that matters, and the block that a continuation names.
  private mutating func add(_ number: UInt16, _ flags: UInt8, _ range: Range<Int>)
    throws(InputError)
  {
    guard let kind = Kind(rawValue: number) else { return }
    messages.append((kind, flags, range))
    guard kind == .continuation else { return }
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

  package func has(_ kind: Kind) -> Bool { messages.contains { $0.kind == kind } }

  /// Whether the object is a group.
  package var isGroup: Bool { has(.symbolTable) || has(.linkInfo) }

  /// The content of every message of `kind`.
  func all(_ kind: Kind) throws(InputError) -> [ByteCursor] {
    var result: [ByteCursor] = []
    for message in messages where message.kind == kind {
      guard message.flags & 2 == 0 else {
        throw InputError(
          file.path, offset: message.range.lowerBound, "shared messages are not read",
          hint: generation == .classic ? HDF5Superblock.hint : "")
      }
      result.append(ByteCursor(file, in: message.range))
    }
    return result
  }

  /// The content of the one message of `kind`, or nil where there is none.
  package func one(_ kind: Kind) throws(InputError) -> ByteCursor? {
    let found = try all(kind)
    guard found.count <= 1 else {
      throw InputError(
        file.path, offset: address, "the object has \(found.count) messages of one kind, \(kind)")
    }
    return found.first
  }
}
