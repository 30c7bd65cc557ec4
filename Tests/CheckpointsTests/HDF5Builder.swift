// Writes HDF5 files in the classic layout for tests, block by block, well-formed or not.

/// Blocks in the order in which they were put; whatever refers to a block is put after it.
struct HDF5Builder {
  /// A message of an object header.
  struct Message {
    var kind: UInt16
    var flags: UInt8 = 0
    var content: [UInt8]

    static func space(_ lengths: [UInt64], version: UInt8 = 1, type: UInt8 = 0) -> Message {
      var content: [UInt8] = [version, UInt8(lengths.count), 0, type]
      if version == 1 { content += [0, 0, 0, 0] }
      for length in lengths { content += ByteWriter.bytes(length) }
      return Message(kind: 1, content: content)
    }

    /// Little-endian F32; `exponentBitCount` of another type.
    static func type(exponentBitCount: UInt8 = 8) -> Message {
      Message(
        kind: 3,
        content: [0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, exponentBitCount, 0, 23]
          + ByteWriter.bytes(UInt32(127)))
    }

    static func contiguous(_ address: UInt64, byteCount: UInt64) -> Message {
      Message(
        kind: 8, content: [3, 1] + ByteWriter.bytes(address) + ByteWriter.bytes(byteCount))
    }

    static func compact(_ bytes: [UInt8]) -> Message {
      Message(kind: 8, content: [3, 0] + ByteWriter.bytes(UInt16(bytes.count)) + bytes)
    }

    static func chunked(
      _ lengths: [UInt32], tree: UInt64, elementByteCount: UInt32 = 4, rank: UInt8? = nil
    ) -> Message {
      var content: [UInt8] = [3, 2, rank ?? UInt8(lengths.count + 1)]
      content += ByteWriter.bytes(tree)
      for length in lengths + [elementByteCount] { content += ByteWriter.bytes(length) }
      return Message(kind: 8, content: content)
    }

    /// Version 2; filters without values.
    static func filters(_ numbers: [UInt16], version: UInt8 = 2) -> Message {
      var content: [UInt8] = [version, UInt8(numbers.count)]
      for number in numbers { content += ByteWriter.bytes(number) + [0, 0, 0, 0] }
      return Message(kind: 11, content: content)
    }

    static func link(
      _ name: String, _ address: UInt64, version: UInt8 = 1, type: UInt8? = nil
    ) -> Message {
      var content: [UInt8] = [version, type == nil ? 0 : 8]
      if let type { content.append(type) }
      content.append(UInt8(name.utf8.count))
      content += Array(name.utf8) + ByteWriter.bytes(address)
      return Message(kind: 6, content: content)
    }

    static func symbolTable(tree: UInt64, heap: UInt64) -> Message {
      Message(kind: 17, content: ByteWriter.bytes(tree) + ByteWriter.bytes(heap))
    }
  }

  private(set) var bytes = [UInt8](repeating: 0, count: 96)

  /// Appends a block at a multiple of eight and returns its address.
  @discardableResult
  mutating func put(_ block: [UInt8]) -> UInt64 {
    while !bytes.count.isMultiple(of: 8) { bytes.append(0) }
    bytes += block
    return UInt64(bytes.count - block.count)
  }

  /// An object header; `count` and `version` may be other than the true ones.
  mutating func object(_ messages: [Message], version: UInt8 = 1, count: UInt16? = nil) -> UInt64 {
    var body = ByteWriter()
    for message in messages {
      let padding = [UInt8](repeating: 0, count: (8 - message.content.count % 8) % 8)
      body.put(message.kind)
      body.put(UInt16(message.content.count + padding.count))
      body.put([message.flags, 0, 0, 0] + message.content + padding)
    }
    var header = ByteWriter()
    header.put([version, 0])
    header.put(count ?? UInt16(messages.count))
    header.put(UInt32(1))
    header.put(UInt32(body.bytes.count))
    header.put(UInt32(0))
    return put(header.bytes + body.bytes)
  }

  /// A dataset [lengths] of F32 with the layout `layout`.
  mutating func dataset(_ lengths: [UInt64] = [1], _ layout: Message, _ more: [Message] = [])
    -> UInt64
  {
    object([.space(lengths), .type(), layout] + more)
  }

  /// The dataset [1] that holds a zero.
  mutating func plainDataset() -> UInt64 { dataset([1], .compact([0, 0, 0, 0])) }

  /// A node of a tree: of a group (kind 0, entries of key and child) or of chunks (kind 1).
  mutating func tree(kind: UInt8, level: UInt8 = 0, _ entries: [[UInt8]]) -> UInt64 {
    put(
      Array("TREE".utf8) + [kind, level] + ByteWriter.bytes(UInt16(entries.count))
        + [UInt8](repeating: 255, count: 16) + entries.flatMap { $0 })
  }

  static func groupEntry(_ child: UInt64) -> [UInt8] {
    ByteWriter.bytes(UInt64(0)) + ByteWriter.bytes(child)
  }

  /// - Parameter start: the first element, and a zero for the bytes of an element.
  static func chunkEntry(_ byteCount: UInt32, start: [UInt64], _ child: UInt64) -> [UInt8] {
    ByteWriter.bytes(byteCount) + ByteWriter.bytes(UInt32(0))
      + (start + [0]).flatMap(ByteWriter.bytes) + ByteWriter.bytes(child)
  }

  /// Names and addresses of objects; a cache type of 2 is a soft link.
  mutating func symbols(_ entries: [(name: UInt64, object: UInt64)], cache: UInt32 = 0) -> UInt64 {
    var writer = ByteWriter()
    writer.put("SNOD")
    writer.put([1, 0])
    writer.put(UInt16(entries.count))
    for entry in entries {
      writer.put(entry.name)
      writer.put(entry.object)
      writer.put(cache)
      writer.put([UInt8](repeating: 0, count: 20))
    }
    return put(writer.bytes)
  }

  mutating func heap(_ names: [UInt8]) -> UInt64 {
    let data = put(names)
    return put(
      Array("HEAP".utf8) + [0, 0, 0, 0] + ByteWriter.bytes(UInt64(names.count))
        + [UInt8](repeating: 255, count: 8) + ByteWriter.bytes(data))
  }

  /// A file whose root group has the messages that `body` returns.
  static func file(_ body: (inout HDF5Builder) -> [Message]) -> [UInt8] {
    var builder = HDF5Builder()
    let messages = body(&builder)
    let root = builder.object(messages)
    var writer = ByteWriter()
    writer.put([0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0, 0, 8, 8, 0])
    writer.put([4, 0, 16, 0, 0, 0, 0, 0])
    writer.put(UInt64(0))
    writer.put(UInt64.max)
    writer.put(UInt64(builder.bytes.count))
    writer.put(UInt64.max)
    writer.put(UInt64(0))
    writer.put(root)
    builder.bytes.replaceSubrange(0..<writer.bytes.count, with: writer.bytes)
    return builder.bytes
  }

  /// A file with the dataset "a" that `body` makes.
  static func datasetFile(_ body: (inout HDF5Builder) -> UInt64) -> [UInt8] {
    file { [.link("a", body(&$0))] }
  }
}
