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

  /// A pickle that would make a file by a shell is refused, and the file is not there.
  @Test(arguments: [
    ("os", "system"), ("posix", "system"), ("subprocess", "getoutput"), ("builtins", "eval"),
  ]) func nothingIsCalled(module: String, name: String) throws {
    let marker = folder.file("ran")
    let text =
      name == "eval" ? "__import__('os').system('touch \(marker)')" : "touch \(marker)"
    let pickle = HostileVector.command(module, name, text)
    let error = inputError { _ = try open(pickle) }
    #expect(
      error?.cause
        == "the pickle names \(module).\(name), which is not allowed; nothing of it was run")
    #expect(error?.offset == "PK\u{3}\u{4}m/data.pkl".utf8.count + 26 + 2)
    #expect(error?.hint.contains("state_dict") == true)
    #expect(!FileManager.default.fileExists(atPath: marker))
  }

  /// The same pickle does run in Python: the refusal above is not for want of something to run.
  @Test(.needsPython) func pythonWouldRunIt() throws {
    let marker = folder.file("ran")
    let path = try folder.write(
      HostileVector.command("os", "system", "touch \(marker)"), to: "m.pkl")
    let process = Process()
    process.executableURL = Repository.root.appending(path: ".venv/bin/python")
    process.arguments = ["-c", "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))", path]
    try process.run()
    process.waitUntilExit()
    #expect(FileManager.default.fileExists(atPath: marker))
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
        zip.wideEnd = isWide ? ZipBuilder.WideEnd() : nil
        zip.comment = isWide ? [] : Array("PK\u{5}\u{6} a comment".utf8)
        #expect(try open(zip).floats("w") == [0, 1, 2, 3, 4, 5])
      }
    }
    let plain = PickleBuilder.archive(PickleBuilder.dictionary(), byteOrder: nil)
    #expect(try open(plain).floats("w").count == 6)
  }

  @Test func everyTruncationIsRefused() throws {
    let bytes = PickleBuilder.archive(PickleBuilder.dictionary()).bytes
    for count in stride(from: 0, to: bytes.count, by: 7) {
      let path = try folder.write(bytes.prefix(count), to: "cut.bin")
      #expect(inputError { _ = try PyTorchCheckpoint(path: path) } != nil, "\(count)")
    }
  }
}
