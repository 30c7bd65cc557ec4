// Pickles that are not dictionaries of tensors, and broken zip archives.

extension HostileVector {
  private static func archive(_ rule: String, _ zip: ZipBuilder) -> HostileVector {
    HostileVector("pytorch-\(rule).pt", zip.bytes)
  }

  private static func pickle(_ rule: String, _ bytes: [UInt8]) -> HostileVector {
    archive(rule, PickleBuilder.archive(bytes, byteOrder: nil))
  }

  /// A pickle whose dictionary holds a tensor "w", and what `body` pushes under "x".
  private static func pushing(_ rule: String, _ body: (inout PickleBuilder) -> Void)
    -> HostileVector
  {
    pickle(
      rule,
      PickleBuilder.dictionary {
        $0.text("x")
        body(&$0)
      })
  }

  private static func view(
    _ rule: String, count: Int = 6, _ offset: Int, _ shape: [Int], _ strides: [Int]
  ) -> HostileVector {
    pickle(
      "view-\(rule)",
      PickleBuilder.dictionary(count: count, offset: offset, shape: shape, strides: strides))
  }

  /// What a pickle would run: the function `name` of `module` with a command for a shell.
  static func command(_ module: String, _ name: String, _ text: String) -> [UInt8] {
    var pickle = PickleBuilder()
    pickle.global(module, name)
    pickle.text(text)
    pickle.raw([0x85])
    pickle.raw("R.")
    return pickle.bytes
  }

  static let pickles = programs + containers + calls + views + wholes + opcodes

  private static let opcodes =
    [
      ("inst", 0x69), ("obj", 0x6f), ("dup", 0x32), ("string", 0x53), ("unicode", 0x56),
      ("persid", 0x50), ("float", 0x46), ("int", 0x49), ("long", 0x4c), ("get", 0x67),
      ("put", 0x70), ("list", 0x6c), ("dict", 0x64), ("binbytes", 0x42), ("short-binbytes", 0x43),
      ("newobj", 0x81), ("newobj-ex", 0x92), ("ext1", 0x82), ("ext2", 0x83), ("ext4", 0x84),
      ("long4", 0x8b), ("binunicode8", 0x8d), ("binbytes8", 0x8e), ("empty-set", 0x8f),
      ("additems", 0x90), ("frozenset", 0x91), ("bytearray8", 0x96), ("next-buffer", 0x97),
      ("readonly-buffer", 0x98), ("unknown", 0xff),
    ].map { (name: String, byte: UInt8) in pushing("opcode-\(name)") { $0.raw([byte]) } }

  private static let calls = [
    pickle("global-os-system", command("os", "system", "touch /tmp/lodge-was-run")),
    pickle("global-eval", command("builtins", "eval", "1")),
    pushing("global-stack") {
      $0.text("posix")
      $0.text("system")
      $0.raw([0x93])
    },
    pushing("stack-global-values") { $0.raw([0x4e, 0x4e, 0x93]) },
    pushing("global-end") { $0.raw("c" + String(repeating: "a", count: 400)) },
    pushing("reduce-tuple") { $0.raw("K\u{1}R") },
    pushing("reduce-integer") { $0.raw("K\u{1})R") },
    pushing("reduce-storage-type") {
      $0.global("torch", "FloatStorage")
      $0.raw(")R")
    },
    pushing("parameter") {
      $0.global("torch._utils", "_rebuild_parameter")
      $0.raw(")R")
    },
    pushing("parameter-with-state") {
      $0.global("torch._utils", "_rebuild_parameter_with_state")
      $0.raw(")R")
    },
    pushing("from-type") {
      $0.global("torch._tensor", "_rebuild_from_type_v2")
      $0.raw("(")
      $0.global("torch._tensor", "_rebuild_from_type_v2")
      $0.global("torch", "Tensor")
      $0.raw(")}tR")
    },
    pushing("size") {
      $0.global("torch", "Size")
      $0.raw(")R")
    },
    pushing("dictionary-arguments") {
      $0.global("collections", "OrderedDict")
      $0.raw("(]]tR")
    },
    pushing("dictionary-list") {
      $0.global("collections", "OrderedDict")
      $0.raw([0x4e, 0x85])
      $0.raw("R")
    },
    pushing("dictionary-pairs") {
      $0.global("collections", "OrderedDict")
      $0.raw("](K\u{1}e")
      $0.raw([0x85])
      $0.raw("R")
    },
    pushing("build") { $0.raw("K\u{1}}b") }, pushing("persistent") { $0.raw(")Q") },
    pushing("storage-type") {
      $0.raw("(")
      $0.text("storage")
      $0.global("collections", "OrderedDict")
      $0.text("0")
      $0.text("cpu")
      $0.integer(6)
      $0.raw("tQ")
    },
    pushing("storage-untyped") { $0.storage("0", type: "UntypedStorage", count: 24) },
    pushing("tensor-arguments") {
      $0.global("torch._utils", "_rebuild_tensor_v2")
      $0.raw(")R")
    },
    pushing("tensor-size") { $0.tensorCall { $0.raw([0x4e, 0x4e]) } },
    pushing("tensor-size-element") { $0.tensorCall { $0.raw([0x4e, 0x85, 0x29]) } },
  ]

  private static let programs = [
    pushing("append-list") { $0.raw("}K\u{1}a") },
    pushing("setitems-dictionary") { $0.raw("](NNu") },
    pushing("setitems-odd") { _ in }, pushing("memo") { $0.raw("h\u{9}") },
    pickle("memo-empty", [0x80, 2, 0x71, 0]), pickle("no-mark", [0x80, 2, 0x74]),
    pushing("stack") { $0.raw("(a") }, pushing("stack-tuple") { $0.raw([0x28, 0x85]) },
    pushing("protocol-again") { $0.raw([0x80, 2]) }, pushing("long") { $0.raw([0x8a, 9]) },
    pushing("text-utf8") { $0.raw([0x55, 1, 0xff]) },
    pushing("text-length") { $0.raw([0x58, 255, 255, 255, 255]) },
    pushing("frame") { $0.raw([0x95] + [UInt8](repeating: 255, count: 8)) },
    pushing("marks") { $0.raw([UInt8](repeating: 0x28, count: 1025)) },
    pushing("values") { $0.raw([UInt8](repeating: 0x29, count: 1 << 18)) },
    pushing("copied-values") {
      // A list of 2000 pairs, of which one dictionary after another is made.
      $0.raw("](")
      $0.raw([0x29, 0x29, 0x86, 0x71, 1])
      for _ in 0..<2000 { $0.raw([0x68, 1]) }
      $0.raw([0x65, 0x85, 0x71, 2, 0x30])
      $0.global("collections", "OrderedDict")
      $0.raw([0x71, 3, 0x30])
      for _ in 0..<200 { $0.raw([0x68, 3, 0x68, 2, 0x52, 0x30]) }
    },
    pickle(
      "remembered-values",
      [0x80, 2, 0x4e] + (0...UInt32(1 << 18)).flatMap { [0x72] + ByteWriter.bytes($0) }),
    pickle("length", [0x80, 2] + [UInt8](repeating: 0x4e, count: 32 << 20)),
  ]

  /// A dictionary of dictionaries, each of one tensor.
  private static func dictionaries(_ keys: [String]) -> [UInt8] {
    var pickle = PickleBuilder()
    pickle.raw("}(")
    for key in keys {
      pickle.text(key)
      pickle.raw("}(")
      pickle.text("w")
      pickle.tensor(storage: "0", count: 6, shape: [2, 3], strides: [3, 1])
      pickle.raw("u")
    }
    pickle.raw("u.")
    return pickle.bytes
  }

  private static let wholes = [
    pickle("dictionaries", dictionaries(["generator", "discriminator"])),
    pickle("empty", []), pickle("no-protocol", Array("}.".utf8)),
    pickle("protocol-1", [0x80, 1, 0x7d, 0x2e]), pickle("protocol-6", [0x80, 6, 0x7d, 0x2e]),
    pickle("no-stop", [0x80, 2, 0x7d]), pickle("two-values", [0x80, 2, 0x7d, 0x7d, 0x2e]),
    pickle("no-value", [0x80, 2, 0x2e]), pickle("bytes-after", [0x80, 2, 0x7d, 0x2e, 0]),
    pickle("no-tensors", [0x80, 2, 0x7d, 0x2e]), pickle("list", [0x80, 2, 0x5d, 0x2e]),
  ]

  private static let containers = [
    pushing("not-a-tensor") { $0.raw("K\u{1}") },
    pickle("key", PickleBuilder.dictionary { $0.raw("K\u{1}K\u{2}") }),
    pickle(
      "duplicate-name",
      PickleBuilder.dictionary {
        $0.text("w")
        $0.tensor(storage: "0", count: 6, shape: [1], strides: [1])
      }),
    pickle(
      "no-entry",
      PickleBuilder.dictionary {
        $0.text("v")
        $0.tensor(storage: "1", count: 6, shape: [6], strides: [1])
      }),
  ]

  private static let views = [
    view("size", 0, [7], [1]), view("offset", 1, [6], [1]), view("stride", 0, [2, 3], [4, 1]),
    view("overflow", 0, [3], [Int.max]), view("negative-stride", 0, [2], [-1]),
    view("negative-offset", -1, [1], [1]), view("negative-size", 0, [-1], [1]),
    view("ranks", 0, [2, 3], [1]),
    view("rank", 0, [Int](repeating: 1, count: 17), [Int](repeating: 1, count: 17)),
    view("repeats", 0, [1 << 24], [0]), view("storage-size", count: 5, 0, [5], [1]),
  ]

  static let archives: [HostileVector] =
    changed + [
      HostileVector("pytorch-zip-end.pt", Array("PK\u{3}\u{4} and no end".utf8)),
      HostileVector("pytorch-legacy.pt", legacy), archive("zip-overlap", overlapping),
      archive("zip-extents", nested),
    ]

  /// What torch.save wrote before 1.6: the pickled magic number, then pickles.
  private static let legacy: [UInt8] =
    [0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e]

  private static let changed: [HostileVector] = [
    ("zip-method", { $0.entries[0].method = 8 }), ("zip-encrypted", { $0.entries[0].flags = 1 }),
    ("zip-duplicate-entry", { $0.entries[2].name = "m/data.pkl" }),
    ("zip-local-name", { $0.entries[0].localName = "m/data.pkx" }),
    ("zip-local-method", { $0.entries[0].localMethod = 8 }),
    ("zip-local-crc", { $0.entries[0].localCRC = 1 }),
    (
      "zip-descriptor",
      {
        $0.entries[0].hasDescriptor = true
        $0.entries[0].isDescriptorWrong = true
      }
    ),
    ("zip-stored-size", { $0.entries[0].storedSize = 3 }),
    ("zip-local-header", { $0.entries[1].offset = 1 }),
    ("zip-header-offset", { $0.entries[1].offset = 1 << 20 }),
    ("zip-another-header", { $0.entries[1].offset = 0 }),
    ("zip-entry-disk", { $0.entries[0].disk = 1 }),
    ("zip-entry-signature", { $0.entries[1].centralSignature = "PK\u{1}\u{3}" }),
    ("zip-name-utf8", { $0.entries[0].nameBytes = Array("m/data.pk".utf8) + [0xff] }),
    ("zip-extra-twice", { $0.entries[0].extraCopies = 2 }),
    ("zip-extra-missing", { $0.entries[0].extraCopies = 0 }),
    ("zip-extra-length", { $0.entries[0].extraTail = [9, 0, 200, 0] }),
    ("zip-fewer-entries", { $0.count = 2 }), ("zip-more-entries", { $0.count = 4 }),
    ("zip-disks", { $0.disk = 1 }), ("zip-directory-place", { $0.directoryShift = 1 }),
    ("zip-wide-missing", { $0.count = 0xffff }),
    ("zip-wide-signature", { $0.wideEnd = .init(signature: "PK\u{6}\u{5}") }),
    ("zip-wide-cut", { $0.wideEnd = .init(isAbsent: true) }),
    ("zip-wide-size", { $0.wideEnd = .init(byteCount: 45) }),
    ("zip-wide-disks", { $0.wideEnd = .init(disk: 1) }),
    ("zip-wide-count", { $0.wideEnd = .init(count: 1 << 18 + 1) }),
    ("zip-wide-differs", { $0.wideEnd = .init(narrowCount: 2) }),
    ("zip-locator-disk", { $0.wideEnd = .init(locatorDisk: 1) }),
    ("zip-locator-offset", { $0.wideEnd = .init(offset: 1 << 40) }),
    ("zip-no-pickle", { $0.entries[0].name = "m/data.pkk" }),
    ("zip-two-pickles", { $0.entries[1].name = "n/data.pkl" }),
    ("byte-order", { $0.entries[1].content = Array("big".utf8) }),
    ("zip-pickle-crc", { $0.entries[0].crc = 1 }), ("zip-storage-crc", { $0.entries[2].crc = 1 }),
    ("nan", { $0.entries[2].content.replaceSubrange(0..<4, with: [0, 0, 0xc0, 0x7f]) }),
  ].map { (rule: String, change: (inout ZipBuilder) -> Void) in
    var zip = PickleBuilder.archive(PickleBuilder.dictionary())
    if rule.hasPrefix("zip-extra") { zip.entries[0].isWide = true }
    change(&zip)
    return archive(rule, zip)
  }

  /// An entry whose content is another whole entry.
  private static let overlapping: ZipBuilder = {
    var inner = ZipBuilder()
    inner.entries = [ZipBuilder.Entry(name: "m/data/1", content: [1, 2, 3, 4])]
    var zip = PickleBuilder.archive(PickleBuilder.dictionary())
    let offset = zip.entries.reduce(0) { $0 + 30 + $1.name.utf8.count + $1.content.count }
    zip.entries.append(ZipBuilder.Entry(name: "m/x", content: Array(inner.bytes.prefix(42))))
    zip.entries.append(ZipBuilder.Entry(name: "m/data/1", content: [1, 2, 3, 4]))
    zip.entries[4].offset = offset + 33
    return zip
  }()

  /// A hundred entries, each inside the one before: together far longer than the file.
  private static let nested: ZipBuilder = {
    var zip = ZipBuilder()
    var content: [UInt8] = []
    for index in (0..<100).reversed() {
      var entry = ZipBuilder.Entry(name: "\(1000 + index)", content: content)
      let whole = ZipBuilder(entries: [entry]).bytes.prefix(34 + content.count)
      content = Array(whole)
      entry.offset = 34 * index
      entry.isInside = index > 0
      zip.entries.insert(entry, at: 0)
    }
    return zip
  }()
}
