// The members of an HDF5 group: a B-tree of symbol tables with names in a heap, or link messages.

package import Bytes

/// Names and addresses of objects; every link must be hard.
package struct HDF5Group {
  package private(set) var links: [(name: String, address: HDF5Address)] = []

  private let file: MappedFile
  private static let softLinkCache: UInt32 = 2

  package init(_ header: HDF5ObjectHeader, in file: MappedFile, budget: inout HDF5Budget)
    throws(InputError)
  {
    self.file = file
    for var cursor in try header.all(.link) { try addLink(&cursor, budget: &budget) }
    if let cursor = try header.one(.linkInfo) {
      try addHeap(cursor, generation: header.generation, budget: &budget)
    }
    guard header.generation == .classic, var cursor = try header.one(.symbolTable) else { return }
    let tree = try cursor.address("tree address")
    let heapAddress = try cursor.address("heap address")
    let heap = try HDF5Group.heap(file, at: heapAddress)
    try visit(tree: tree, level: nil, heap: heap, budget: &budget)
  }

  /// The names' bytes (section III.D).
  private static func heap(_ file: MappedFile, at address: HDF5Address) throws(InputError) -> Range<
    Int
  > {
    var cursor = try ByteCursor(file, at: address, "heap")
    try cursor.expect("HEAP", "heap of names")
    _ = try cursor.skip(4, "heap version")
    let byteCount = try cursor.integer(UInt64.self, "heap size")
    _ = try cursor.skip(8, "free list")
    let data = try cursor.address("heap address")
    var names = try ByteCursor(file, at: data, "heap")
    return try names.skip(Int(clamping: byteCount), "heap of names")
  }

  /// A node of the B-tree (section III.A.1), whose leaves point to symbol tables.
  private mutating func visit(
    tree address: HDF5Address, level expected: UInt8?, heap: Range<Int>, budget: inout HDF5Budget
  ) throws(InputError) {
    var cursor = try ByteCursor(file, at: address, "tree")
    let start = cursor.position
    try cursor.expect("TREE", "tree of a group")
    let kind = try cursor.integer(UInt8.self, "node type")
    let level = try cursor.integer(UInt8.self, "node level")
    guard kind == 0, level <= 16, expected == nil || level == expected else {
      throw cursor.failure("not a node of a group's tree of this level", at: start)
    }
    let count = Int(try cursor.integer(UInt16.self, "entry count"))
    _ = try cursor.skip(16, "siblings")
    for _ in 0..<count {
      try budget.takeEntry(cursor)
      _ = try cursor.skip(8, "key")
      let child = try cursor.address("child")
      if level > 0 {
        try visit(tree: child, level: level - 1, heap: heap, budget: &budget)
      } else {
        try addSymbols(at: child, heap: heap, budget: &budget)
      }
    }
  }

  /// A symbol table node (section III.B).
  private mutating func addSymbols(
    at address: HDF5Address, heap: Range<Int>, budget: inout HDF5Budget
  ) throws(InputError) {
    var cursor = try ByteCursor(file, at: address, "symbol table")
    try cursor.expect("SNOD", "symbol table")
    _ = try cursor.skip(2, "version")
    let count = Int(try cursor.integer(UInt16.self, "symbol count"))
    for _ in 0..<count {
      try budget.takeEntry(cursor)
      let start = cursor.position
      let offset = try cursor.integer(UInt64.self, "name offset")
      let object = try cursor.address("object address")
      let cache = try cursor.integer(UInt32.self, "cache type")
      _ = try cursor.skip(20, "scratch space")
      let name = try name(at: offset, in: heap, start)
      try budget.take(name: name, at: start, of: file)
      guard cache != HDF5Group.softLinkCache else {
        throw InputError(
          file.path, place: name, offset: start, "is a soft link, which is not followed")
      }
      links.append((name, object))
    }
  }

  /// The text up to a NUL.
  private func name(at offset: UInt64, in heap: Range<Int>, _ start: Int) throws(InputError)
    -> String
  {
    guard offset < UInt64(heap.count) else {
      throw InputError(file.path, offset: start, "a name at \(offset) is not in the heap")
    }
    let first = heap.lowerBound + Int(offset)
    let bytes = try file.bytes(in: first..<min(heap.upperBound, first + 1024))
    guard let count = bytes.firstIndex(of: 0), count > 0,
      let text = String(validating: bytes[..<count], as: UTF8.self)
    else {
      throw InputError(
        file.path, offset: first, "not a name of 1 to 1023 bytes of UTF-8 and a NUL")
    }
    return text
  }

  /// A link message (section IV.A.2.g).
  private mutating func addLink(_ cursor: inout ByteCursor, budget: inout HDF5Budget)
    throws(InputError)
  {
    let start = cursor.position
    let version = try cursor.integer(UInt8.self, "link version")
    let flags = try cursor.integer(UInt8.self, "link flags")
    guard version == 1 else {
      throw cursor.failure("link version \(version) is not read", at: start)
    }
    let kind = flags & 8 != 0 ? try cursor.integer(UInt8.self, "link type") : 0
    if flags & 4 != 0 { _ = try cursor.skip(8, "creation order") }
    if flags & 16 != 0 { _ = try cursor.skip(1, "character set") }
    var count: UInt64 = 0
    for byte in 0..<(1 << (flags & 3)) {
      count |= UInt64(try cursor.integer(UInt8.self, "name length")) << UInt64(8 * byte)
    }
    let name = try cursor.text(byteCount: Int(clamping: count), "link name")
    try budget.take(name: name, at: start, of: file)
    guard kind == 0 else {
      throw InputError(
        file.path, place: name, offset: start,
        "is a link of type \(kind), only hard links (0) are followed")
    }
    links.append((name, try cursor.address("object address")))
  }

  /// Links in a fractal heap, which the link info message leads to.
  private mutating func addHeap(
    _ message: ByteCursor, generation: HDF5Generation, budget: inout HDF5Budget
  ) throws(InputError) {
    var cursor = message
    _ = try cursor.skip(1, "version")
    let flags = try cursor.integer(UInt8.self, "link info flags")
    if flags & 1 != 0 { _ = try cursor.skip(8, "creation index") }
    let heapAddress = try cursor.address("heap address")
    guard !heapAddress.isUndefined else { return }
    guard generation == .checksummed else {
      throw cursor.failure(
        "a group with its links in a fractal heap is not read", at: message.position,
        hint: HDF5Superblock.hint)
    }
    let treeAddress = try cursor.address("tree address")
    var heap = try HDF5Heap(file, at: heapAddress, budget: &budget)
    let records = try HDF5RecordTree.records(
      file, at: treeAddress, kind: .linkNames, budget: &budget)
    for var record in records {
      _ = try record.skip(4, "hash")
      let identifier = try record.skip(heap.identifierByteCount, "heap identifier")
      var link = try heap.object(identifier, budget: &budget)
      try addLink(&link, budget: &budget)
    }
  }
}
