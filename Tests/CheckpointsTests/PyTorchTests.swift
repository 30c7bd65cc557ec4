// The PyTorch reader: views of storages, and one broken rule of pickle or archive a test.

import Bytes
import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite struct PyTorchTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func open(_ zip: ZipBuilder) throws -> PyTorchCheckpoint {
    try PyTorchCheckpoint(path: folder.write(zip.bytes, to: "m.bin"))
  }

  private func open(_ pickle: [UInt8]) throws -> PyTorchCheckpoint {
    try open(PickleBuilder.archive(pickle))
  }

  private func failure(_ zip: ZipBuilder) -> String {
    inputError { _ = try open(zip) }.map { "\($0.place)|\($0.cause)" } ?? "read without error"
  }

  /// The error of a pickle whose root dictionary holds what `body` pushes under "x".
  private func failure(pushing body: (inout PickleBuilder) -> Void) -> String {
    let pickle = PickleBuilder.dictionary {
      $0.text("x")
      body(&$0)
    }
    return failure(PickleBuilder.archive(pickle))
  }

  @Test(arguments: [
    (0, [2, 3], [3, 1], [0, 1, 2, 3, 4, 5]), (0, [3, 2], [1, 3], [0, 3, 1, 4, 2, 5]),
    (1, [2], [4], [1, 5]), (2, [], [], [2]), (6, [0], [1], []),
    (0, [2, 2], [0, 1], [0, 1, 0, 1]),
    (3, [1, 3], [999, 1], [3, 4, 5]), (5, [1], [Int.max], [5]),
    (0, [2, 1, 2], [2, Int.max, 1], [0, 1, 2, 3]), (0, [2, 1, 2], [2, Int.max, 2], [0, 2, 2, 4]),
  ]) func readsViews(offset: Int, shape: [Int], strides: [Int], expected: [Float]) throws {
    let source = try open(
      PickleBuilder.dictionary(offset: offset, shape: shape, strides: strides))
    #expect(source.tensors.map(\.shape) == [shape])
    #expect(try source.floats("w") == expected)
    #expect(inputError { _ = try source.floats("v") }?.cause == "there is no such tensor")
  }

  @Test(arguments: [
    ("DoubleStorage", 3, ElementType.float64), ("HalfStorage", 12, .float16),
    ("BFloat16Storage", 12, .bfloat16), ("LongStorage", 3, .int64), ("IntStorage", 6, .int32),
    ("ShortStorage", 12, .int16), ("CharStorage", 24, .int8), ("ByteStorage", 24, .uint8),
    ("BoolStorage", 24, .bool),
  ]) func knowsEveryStorage(name: String, count: Int, type: ElementType) throws {
    let source = try open(
      PickleBuilder.dictionary(count: count, shape: [count], strides: [1], type: name))
    #expect(source.tensors.map(\.type) == [type])
    if !type.isReadableAsFloat {
      #expect(
        inputError { _ = try source.floats("w") }?.cause
          == "elements of type \(type.rawValue) are not read as weights")
    }
  }

  @Test(arguments: ["state_dict", "model_state_dict", "model", "module"])
  func takesTheNestedStateDictionary(key: String) throws {
    var pickle = PickleBuilder()
    pickle.raw("}(")
    pickle.text("epoch")
    pickle.integer(5)
    pickle.text(key)
    pickle.global("collections", "OrderedDict")
    pickle.raw(")Rq\u{1}")
    pickle.text("w")
    pickle.global("torch._utils", "_rebuild_parameter")
    pickle.raw("(")
    pickle.tensor(storage: "0", count: 6, shape: [6], strides: [1])
    pickle.raw([0x88])
    pickle.raw("}ts".replacing("ts", with: "tRs"))
    // What Module.state_dict adds: an attribute of the dictionary.
    pickle.raw("}")
    pickle.text("_metadata")
    pickle.raw("}sb")
    pickle.text("best")
    pickle.raw("G?\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}")
    pickle.raw("u.")
    let source = try open(pickle.bytes)
    #expect(source.tensors.map(\.name) == ["w"])
    #expect(try source.floats("w") == [0, 1, 2, 3, 4, 5])
  }

  @Test func nothingIsCalled() throws {
    for (module, name) in [("os", "system"), ("posix", "system"), ("builtins", "eval")] {
      let marker = folder.file("ran")
      var pickle = PickleBuilder()
      pickle.global(module, name)
      pickle.text("touch \(marker)")
      pickle.raw([0x85])
      pickle.raw("R.")
      let error = inputError { _ = try open(pickle.bytes) }
      #expect(
        error?.cause
          == "the pickle names \(module).\(name), which is not allowed; nothing of it was run")
      #expect(error?.place.hasPrefix("byte ") == true)
      #expect(error?.hint.contains("state_dict") == true)
      #expect(!FileManager.default.fileExists(atPath: marker))
    }
    // The same by STACK_GLOBAL.
    var pickle = PickleBuilder()
    pickle.text("os")
    pickle.text("system")
    pickle.raw([0x93])
    #expect(failure(PickleBuilder.archive(pickle.bytes)).contains("names os.system"))
  }

  @Test(arguments: [
    ("i", "INST"), ("o", "OBJ"), ("\u{32}", "DUP"), ("S", "STRING"), ("V", "UNICODE"),
    ("P", "PERSID"), ("F", "FLOAT"), ("I", "INT"), ("L", "LONG"), ("g", "GET"), ("p", "PUT"),
    ("l", "LIST"), ("d", "DICT"), ("B", "BINBYTES"), ("C", "SHORT_BINBYTES"),
  ]) func refusesOpcodesByName(opcode: String, name: String) {
    #expect(failure { $0.raw(opcode) }.contains("pickle opcode \(name) (0x"))
  }

  @Test(arguments: [
    (UInt8(0x81), "NEWOBJ"), (0x92, "NEWOBJ_EX"), (0x82, "EXT1"), (0x83, "EXT2"), (0x84, "EXT4"),
    (0x8b, "LONG4"), (0x8d, "BINUNICODE8"), (0x8e, "BINBYTES8"), (0x8f, "EMPTY_SET"),
    (0x90, "ADDITEMS"), (0x91, "FROZENSET"), (0x96, "BYTEARRAY8"), (0x97, "NEXT_BUFFER"),
    (0x98, "READONLY_BUFFER"), (0xff, "unknown opcode"),
  ]) func refusesBinaryOpcodesByName(opcode: UInt8, name: String) {
    #expect(failure { $0.raw([opcode]) }.contains("pickle opcode \(name) (0x"))
  }

  @Test func refusesBrokenPrograms() {
    let cases: [(String, (inout PickleBuilder) -> Void)] = [
      ("SETITEMS needs a dictionary", { $0.raw("](KaKb") }),
      ("REDUCE needs a tuple", { $0.raw("K\u{1}R") }),
      ("REDUCE would call an integer", { $0.raw("K\u{1})R") }),
      (
        "REDUCE would call torch.FloatStorage",
        {
          $0.global("torch", "FloatStorage")
          $0.raw(")R")
        }
      ),
      (
        "OrderedDict needs a list of pairs",
        {
          $0.global("collections", "OrderedDict")
          $0.raw("](K\u{1}e")
          $0.raw([0x85])
          $0.raw("R")
        }
      ),
      ("BUILD would set the state of an integer", { $0.raw("K\u{1}}b") }),
      ("a persistent object that is not a storage", { $0.raw(")Q") }),
      (
        "OrderedDict is not a type of storage",
        {
          $0.raw("(")
          $0.text("storage")
          $0.global("collections", "OrderedDict")
          $0.text("0")
          $0.text("cpu")
          $0.integer(6)
          $0.raw("tQ")
        }
      ),
      ("untyped storages are not read", { $0.storage("0", type: "UntypedStorage", count: 24) }),
      ("APPEND needs a list", { $0.raw("}K\u{1}a") }),
      ("memo 9 was never set", { $0.raw("h\u{9}") }),
      ("POP finds too few", { $0.raw("(00") }),
      ("too few values", { $0.raw("(\u{85}".unicodeScalars.map { UInt8($0.value) }) }),
      ("a second PROTO", { $0.raw([0x80, 2]) }),
      ("an integer of 9 bytes", { $0.raw([0x8a, 9]) }),
      ("GLOBAL without the end of a name", { $0.raw("c" + String(repeating: "a", count: 400)) }),
      ("is not valid UTF-8", { $0.raw([0x55, 1, 0xff]) }),
      ("string needs 4294967295 bytes", { $0.raw([0x58, 255, 255, 255, 255]) }),
      ("goes beyond the pickle", { $0.raw([0x95] + [UInt8](repeating: 255, count: 8)) }),
      ("more than 1024 marks", { $0.raw([UInt8](repeating: 0x28, count: 1025)) }),
      ("more than 524288 values", { $0.raw([UInt8](repeating: 0x29, count: 524_289)) }),
      ("a key without a value", { _ in }),
      ("x is an integer, expected a tensor", { $0.raw("K\u{1}") }),
    ]
    for (expected, body) in cases {
      let found = failure(pushing: body)
      #expect(found.contains(expected), "\(expected): \(found)")
    }
    func whole(_ bytes: [UInt8]) -> String { failure(PickleBuilder.archive(bytes)) }
    #expect(whole(Array("}.".utf8)).contains("does not begin with PROTO"))
    #expect(whole([0x80, 6, 0x7d, 0x2e]).contains("protocol 6"))
    #expect(whole([0x80, 1, 0x7d, 0x2e]).contains("protocol 1"))
    #expect(whole([0x80, 2, 0x7d]).contains("the next opcode needs 1 bytes"))
    #expect(whole([0x80, 2, 0x7d, 0x7d, 0x2e]).contains("ends with 2 values"))
    #expect(whole([0x80, 2, 0x2e]).contains("ends with 0 values"))
    #expect(whole([0x80, 2, 0x7d, 0x2e, 0]).contains("1 bytes after the end of the pickle"))
    #expect(whole([0x80, 2, 0x7d, 0x2e]).contains("holds no tensors"))
    #expect(whole([0x80, 2, 0x5d, 0x2e]).contains("holds a list"))
    #expect(whole([]).contains("pickle needs 1 bytes"))
    #expect(
      whole(
        PickleBuilder.dictionary {
          $0.text("w")
          $0.tensor(storage: "0", count: 6, shape: [1], strides: [1])
          $0.raw("K\u{1}K\u{2}")
        }
      ).contains("2 problems: w is there twice; a key of the dictionary is an integer"))
  }

  @Test(arguments: [
    (0, [7], [1], "go beyond the 6 elements"), (1, [6], [1], "go beyond"),
    (0, [2, 3], [4, 1], "go beyond"), (7, [0], [1], "go beyond"),
    (0, [Int.max, 2], [0, 0], "go beyond"), (0, [3], [Int.max], "go beyond"),
    (Int.max, [1], [1], "go beyond"), (0, [2], [-1], "a negative"), (-1, [1], [1], "a negative"),
    (0, [-1], [1], "a negative"), (0, [2, 3], [1], "size 2 and stride 1 axes"),
    (0, [1 << 40], [0], "repeats elements beyond"),
  ]) func refusesViews(offset: Int, shape: [Int], strides: [Int], expected: String) {
    let pickle = PickleBuilder.dictionary(offset: offset, shape: shape, strides: strides)
    #expect(failure(PickleBuilder.archive(pickle)).contains(expected))
  }

  @Test func refusesStoragesThatAreNotThere() {
    let pickle = PickleBuilder.dictionary(count: 5, shape: [5], strides: [1]) {
      $0.text("v")
      $0.tensor(storage: "1", count: 6, shape: [6], strides: [1])
    }
    let found = failure(PickleBuilder.archive(pickle))
    #expect(found.contains("2 problems: v: the archive has no entry m/data/1; w: byte "))
    #expect(found.contains("storage 0 has 24 bytes, 5 elements of F32 are expected"))
  }

  @Test func checksumsAreComparedWhenRead() throws {
    var zip = PickleBuilder.archive(PickleBuilder.dictionary())
    zip.entries[2].crc = 1
    let source = try open(zip)
    #expect(inputError { _ = try source.floats("w") }?.cause.contains("the CRC of") == true)
    zip.entries[0].crc = 1
    #expect(failure(zip).contains("the CRC of \"m/data.pkl\" is"))
  }

  @Test func readsArchivesOfEveryForm() throws {
    var zip = PickleBuilder.archive(PickleBuilder.dictionary())
    for isWide in [false, true] {
      for hasDescriptor in [false, true] {
        for index in zip.entries.indices {
          zip.entries[index].isWide = isWide
          zip.entries[index].hasDescriptor = hasDescriptor
        }
        zip.hasWideEnd = isWide
        zip.comment = isWide ? [] : Array("PK\u{5}\u{6} a comment".utf8)
        #expect(try open(zip).floats("w") == [0, 1, 2, 3, 4, 5])
      }
    }
    let plain = PickleBuilder.archive(PickleBuilder.dictionary(), byteOrder: nil)
    #expect(try open(plain).floats("w").count == 6)
  }

  @Test func refusesBrokenArchives() {
    let good = PickleBuilder.archive(PickleBuilder.dictionary())
    let cases: [(String, (inout ZipBuilder) -> Void)] = [
      ("compressed by method 8", { $0.entries[0].method = 8 }),
      ("an encrypted or unknown entry", { $0.entries[0].flags = 1 }),
      ("a second entry is named", { $0.entries[2].name = "m/data.pkl" }),
      ("has another name, method or flags", { $0.entries[0].localName = "m/data.pkx" }),
      ("has another name, method or flags", { $0.entries[0].localMethod = 8 }),
      ("in the local header of \"m/data.pkl\" differs", { $0.entries[0].localCRC = 1 }),
      (
        "absent or differs from the directory",
        {
          $0.entries[0].hasDescriptor = true
          $0.entries[0].isDescriptorWrong = true
        }
      ),
      ("is stored in 3 bytes", { $0.entries[0].storedSize = 3 }),
      ("no local header of", { $0.entries[1].offset = 1 }),
      ("is behind the entries", { $0.entries[1].offset = 1 << 20 }),
      ("another name", { $0.entries[1].offset = 0 }),
      ("bytes after the last directory entry", { $0.count = 2 }),
      ("directory entry needs", { $0.count = 4 }),
      ("several disks", { $0.disk = 1 }),
      (
        "no zip64 end record",
        {
          $0.hasWideEnd = true
          $0.isWideEndAbsent = true
        }
      ),
      ("0 entries data.pkl", { $0.entries[0].name = "m/data.pkk" }),
      ("2 entries data.pkl", { $0.entries[1].name = "n/data.pkl" }),
      ("the byte order is not", { $0.entries[1].content = Array("big".utf8) }),
    ]
    for (expected, change) in cases {
      var zip = good
      change(&zip)
      let found = failure(zip)
      #expect(found.contains(expected), "\(expected): \(found)")
    }
  }

  @Test func refusesOverlapsAndCuts() throws {
    // Two directory records of one local entry cannot differ in name; the content of one entry
    // that holds another whole one can.
    var inner = ZipBuilder()
    inner.entries = [ZipBuilder.Entry(name: "m/data/1", content: [1, 2, 3, 4])]
    let body = Array(inner.bytes.prefix(30 + 8 + 4))
    var zip = PickleBuilder.archive(PickleBuilder.dictionary())
    zip.entries.append(ZipBuilder.Entry(name: "m/x", content: body))
    var offset = 0
    for entry in zip.entries.dropLast() {
      offset += 30 + entry.name.utf8.count + entry.content.count
    }
    let outer = zip.bytes
    #expect(Array(outer[(offset + 33)...].prefix(4)) == Array("PK\u{3}\u{4}".utf8))
    zip.entries.append(ZipBuilder.Entry(name: "m/data/1", content: [1, 2, 3, 4]))
    zip.entries[4].offset = offset + 33
    #expect(failure(zip).contains("entries \"m/x\" and \"m/data/1\" overlap"))

    let bytes = PickleBuilder.archive(PickleBuilder.dictionary()).bytes
    for count in stride(from: 0, to: bytes.count, by: 7) {
      let path = try folder.write(bytes.prefix(count), to: "cut.bin")
      #expect(inputError { _ = try PyTorchCheckpoint(path: path) } != nil, "\(count)")
    }
  }
}
