// Broken HDF5 files, and well-formed ones that are stored in a way not read. h5py wrote others.

extension HostileVector {
  static let hdf5 = superblocks + objects + groups + datasets + chunks + limits

  private typealias Message = HDF5Builder.Message

  /// A file with a plain dataset, some of whose bytes are replaced.
  private static func patched(_ rule: String, _ offset: Int, _ bytes: [UInt8]) -> HostileVector {
    var file = HDF5Builder.datasetFile { $0.plainDataset() }
    file.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    return HostileVector("hdf5-\(rule).h5", file)
  }

  private static func file(_ rule: String, _ body: (inout HDF5Builder) -> [Message])
    -> HostileVector
  {
    HostileVector("hdf5-\(rule).h5", HDF5Builder.file(body))
  }

  private static func dataset(_ rule: String, _ body: (inout HDF5Builder) -> UInt64)
    -> HostileVector
  {
    HostileVector("hdf5-\(rule).h5", HDF5Builder.datasetFile(body))
  }

  private static let superblocks = [
    HostileVector("hdf5-empty.h5", []), patched("signature", 0, [0x88]),
    patched("superblock-version", 8, [4]), patched("offset-size", 13, [4]),
    patched("base-address", 24, [1]), patched("end-address", 40, [255, 255]),
    patched("root-address", 64, ByteWriter.bytes(UInt64.max)),
  ]

  private static let objects = [
    file("header-version") { [.link("a", $0.object([.space([1])], version: 2))] },
    file("neither") { [.link("a", $0.object([.space([1])]))] },
    file("shared-message") {
      var space = Message.space([1])
      space.flags = 2
      return [.link("a", $0.object([space, .type(), .compact([0, 0, 0, 0])]))]
    },
    file("same-messages") {
      [.link("a", $0.dataset([1], .compact([0, 0, 0, 0]), [.space([1])]))]
    },
    file("continuation-length") { _ in
      [Message(kind: 16, content: ByteWriter.bytes(UInt64(96)) + ByteWriter.bytes(UInt64.max))]
    },
    file("continuations") {
      // A block that continues in itself.
      let start = UInt64($0.bytes.count)
      let block = ByteWriter.bytes(start) + ByteWriter.bytes(UInt64(24))
      $0.put(ByteWriter.bytes(UInt16(16)) + ByteWriter.bytes(UInt16(16)) + [0, 0, 0, 0] + block)
      return [.link("a", $0.object([Message(kind: 16, content: block)], count: .max))]
    },
  ]

  private static let groups = [
    file("link-version") { [.link("a", $0.plainDataset(), version: 2)] },
    file("link-type") { [.link("a", $0.plainDataset(), type: 1)] },
    file("fractal-heap") { _ in [Message(kind: 2, content: [0, 0] + ByteWriter.bytes(UInt64(96)))]
    },
    file("same-name") {
      let first = $0.plainDataset()
      return [.link("a", first), .link("a", $0.plainDataset())]
    },
    file("nesting") {
      var object = $0.plainDataset()
      for _ in 0..<34 {
        // Link information without a heap makes an object a group.
        let info = Message(kind: 2, content: [0, 0] + ByteWriter.bytes(UInt64.max))
        object = $0.object([info, .link("g", object)])
      }
      return [.link("g", object)]
    },
    symbols("tree-signature") { _, _ in 0 },
    symbols("tree-kind") { builder, _ in builder.tree(kind: 1, []) },
    symbols("tree-level") { builder, leaf in
      let node = builder.tree(kind: 0, level: 1, [HDF5Builder.groupEntry(leaf)])
      return builder.tree(kind: 0, level: 1, [HDF5Builder.groupEntry(node)])
    },
    symbols("symbols-signature") { builder, _ in
      builder.tree(kind: 0, [HDF5Builder.groupEntry(96)])
    },
    symbols("name-offset", name: 100), symbols("name-end", name: 2),
    symbols("soft-cache", cache: 2),
    file("heap-signature") { [.symbolTable(tree: $0.tree(kind: 0, []), heap: 96)] },
  ]

  /// A group of one symbol in a heap with the names "" (0), "a" (1) and "b" without its end (3).
  private static func symbols(
    _ rule: String, name: UInt64 = 1, cache: UInt32 = 0,
    tree: (inout HDF5Builder, UInt64) -> UInt64 = { $0.tree(kind: 0, [HDF5Builder.groupEntry($1)]) }
  ) -> HostileVector {
    file(rule) {
      let object = $0.plainDataset()
      let heap = $0.heap([0, 0x61, 0, 0x62].map { name == 2 && $0 == 0 ? 0xff : $0 })
      let symbols = $0.symbols([(name, object)], cache: cache)
      return [.symbolTable(tree: tree(&$0, symbols), heap: heap)]
    }
  }

  private static let datasets = [
    dataset("no-type") { $0.object([.space([1]), .compact([0, 0, 0, 0])]) },
    dataset("float-type") {
      $0.object([.space([1]), .type(exponentBitCount: 7), .compact([0, 0, 0, 0])])
    },
    dataset("space-version") {
      $0.object([.space([1], version: 3), .type(), .compact([0, 0, 0, 0])])
    },
    dataset("space-null") {
      $0.object([.space([], version: 2, type: 2), .type(), .compact([0, 0, 0, 0])])
    },
    dataset("rank") {
      $0.dataset([UInt64](repeating: 1, count: 17), .compact([0, 0, 0, 0]))
    },
    dataset("length") { $0.dataset([.max], .compact([0, 0, 0, 0])) },
    dataset("size-overflow") { $0.dataset([1 << 40, 1 << 40], .compact([0, 0, 0, 0])) },
    dataset("compact-size") { $0.dataset([2], .compact([0, 0, 0, 0])) },
    dataset("contiguous-size") { $0.dataset([2], .contiguous(96, byteCount: 4)) },
    dataset("contiguous-end") { $0.dataset([1000], .contiguous(96, byteCount: 4000)) },
    dataset("contiguous-address") { $0.dataset([1], .contiguous(1 << 40, byteCount: 4)) },
    dataset("external") {
      $0.dataset([1], .compact([0, 0, 0, 0]), [Message(kind: 7, content: [1])])
    },
    dataset("layout-version") {
      $0.dataset([1], Message(kind: 8, content: [4, 0, 4, 0, 0, 0, 0, 0]))
    },
    dataset("layout-class") {
      $0.dataset([1], Message(kind: 8, content: [3, 3, 4, 0, 0, 0, 0, 0]))
    },
    dataset("nan") { $0.dataset([1], .compact([0, 0, 0xc0, 0x7f])) },
  ]

  /// A dataset [2] in chunks of one element, whose tree has the entries that `body` returns.
  private static func chunked(
    _ rule: String, filters: [UInt16] = [], kind: UInt8 = 1,
    _ body: (inout HDF5Builder) -> [[UInt8]]
  ) -> HostileVector {
    dataset("chunk-\(rule)") {
      let entries = body(&$0)
      let tree = $0.tree(kind: kind, entries)
      return $0.dataset([2], .chunked([1], tree: tree), [.filters(filters)])
    }
  }

  /// The same with both chunks being `bytes`.
  private static func stored(_ rule: String, filters: [UInt16], _ bytes: [UInt8])
    -> HostileVector
  {
    chunked(rule, filters: filters) {
      let data = $0.put(bytes)
      return [0, 1].map { HDF5Builder.chunkEntry(UInt32(bytes.count), start: [$0], data) }
    }
  }

  private static let chunks = [
    dataset("chunk-rank") { $0.dataset([1], .chunked([1], tree: .max, rank: 1)) },
    dataset("chunk-shape") { $0.dataset([1], .chunked([0], tree: .max)) },
    dataset("chunk-size") { $0.dataset([1], .chunked([1 << 24], tree: .max)) },
    dataset("chunk-total") { $0.dataset([1 << 10, 1], .chunked([1, 1 << 20], tree: .max)) },
    dataset("chunk-huge") { $0.dataset([1 << 40], .chunked([1 << 10], tree: .max)) },
    chunked("kind", kind: 0) { _ in [] }, chunked("absent") { _ in [] },
    chunked("twice") { _ in
      [HDF5Builder.chunkEntry(4, start: [0], 96), HDF5Builder.chunkEntry(4, start: [0], 96)]
    },
    chunked("misplaced") { _ in [HDF5Builder.chunkEntry(4, start: [7], 96)] },
    chunked("beyond-end") { _ in [HDF5Builder.chunkEntry(1 << 20, start: [0], 96)] },
    stored("filter-twice", filters: [1, 1], [0, 0, 0, 0]),
    stored("gzip", filters: [1], [0x78, 0x5e, 0xff, 0xff]),
    // A thousand times "a".
    stored(
      "bomb", filters: [1],
      [
        0x78, 0x9c, 0x4b, 0x4c, 0x1c, 0x5, 0xa3, 0x60, 0x14, 0xc, 0x77, 0x0, 0x0, 0xf9, 0xd8, 0x7a,
        0xf8,
      ]),
    stored("no-checksum", filters: [3], [0, 0]),
    stored("checksum", filters: [3], [1, 2, 3, 4, 0, 0, 0, 0]),
    stored("length", filters: [], [0, 0, 0, 0, 0]),
    dataset("filter-version") {
      $0.dataset([1], .chunked([1], tree: 96), [.filters([1], version: 3)])
    },
  ]

  /// Small files whose structure would take long, or much memory, to read.
  private static let limits = [
    file("entries") {
      // Trees of sixteen levels whose nodes all point to the same next one, sixteen times.
      let heap = $0.heap([0])
      var node = $0.symbols([])
      for level in 0..<UInt8(17) {
        let entry = HDF5Builder.groupEntry(node)
        node = $0.tree(kind: 0, level: level, [[UInt8]](repeating: entry, count: 16))
      }
      return [.symbolTable(tree: node, heap: heap)]
    },
    file("names") {
      // A name of a thousand bytes that each of ten thousand symbols has.
      let heap = $0.heap([UInt8](repeating: 0x61, count: 1000) + [0])
      let symbols = $0.symbols([(name: UInt64, object: UInt64)](repeating: (0, 96), count: 100))
      let entry = HDF5Builder.groupEntry(symbols)
      return [
        .symbolTable(tree: $0.tree(kind: 0, [[UInt8]](repeating: entry, count: 100)), heap: heap)
      ]
    },
    file("messages") { builder in
      // Eight objects that continue in the same block of 65,000 empty messages.
      let block = builder.put([UInt8](repeating: 0, count: 8 * 65000))
      let more = Message(
        kind: 16, content: ByteWriter.bytes(block) + ByteWriter.bytes(UInt64(8 * 65000)))
      let info = Message(kind: 2, content: [0, 0] + ByteWriter.bytes(UInt64.max))
      return (0..<8).map { .link("\($0)", builder.object([info, more], count: .max)) }
    },
    file("objects") { builder in
      // One empty object after the other: what a group needs, and nothing in it.
      let info = Message(kind: 2, content: [0, 0] + ByteWriter.bytes(UInt64.max))
      let heap = builder.heap(Array("a\u{0}".utf8))
      var leaves: [UInt64] = []
      for _ in 0..<33 {
        let objects = (0..<2000).map { _ in (name: UInt64(0), object: builder.object([info])) }
        leaves.append(builder.symbols(objects))
      }
      let tree = builder.tree(kind: 0, leaves.map(HDF5Builder.groupEntry))
      return [.symbolTable(tree: tree, heap: heap)]
    },
  ]
}
