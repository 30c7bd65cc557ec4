// .npy files: NumPy's own bytes, round trips, and headers corrupted one field at a time.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct NPYTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  /// A file of version 1.0 with the given dictionary text and `dataByteCount` zero bytes.
  private func file(_ dictionary: String, dataByteCount: Int = 24) throws -> String {
    let text = Array((dictionary + "\n").utf8)
    let prefix =
      [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(text.count & 255), UInt8(text.count >> 8)]
    return try folder.write(
      prefix + text + [UInt8](repeating: 0, count: dataByteCount), to: "a.npy")
  }

  private func failure(_ path: String) -> String? {
    do throws(InputError) {
      _ = try NPY.readFloats(path)
      return nil
    } catch {
      return "\(error.place)|\(error.cause)"
    }
  }

  @Test func readsWhatNumPyWrote() throws {
    let path = Repository.fixtures.appending(path: "opt-dickens-5m/reference/hidden_2.npy").path
    let array = try NPY.readFloats(path)
    #expect(array.shape == [8, 15, 256])
    #expect(array.values.count == 8 * 15 * 256)
    #expect(array.values.allSatisfy { $0.isFinite && abs($0) < 100 })
    // Writing it again gives a file as long as NumPy's, its data byte for byte.
    let copy = folder.file("copy.npy")
    try NPY.write(array, to: copy)
    let (old, new) = (try MappedFile(path: path), try MappedFile(path: copy))
    #expect(old.byteCount == new.byteCount)
    #expect(
      try old.bytes(in: 128..<old.byteCount) == new.bytes(in: 128..<new.byteCount))
    #expect(try NPY.readFloats(copy) == array)
  }

  @Test(arguments: [[], [0], [1], [6], [2, 3], [3, 0, 2], [1, 1, 1, 6]] as [[Int]])
  func floatsReadBack(shape: [Int]) throws {
    let count = shape.reduce(1, *)
    let special: [Float] = [-0.0, .infinity, .leastNonzeroMagnitude, -1.5, 3e38, 0.1]
    let array = NPYArray(shape: shape, values: Array(special[..<count]))
    try NPY.write(array, to: folder.file("f.npy"))
    let back = try NPY.readFloats(folder.file("f.npy"))
    #expect(back.shape == shape)
    #expect(back.values.map(\.bitPattern) == array.values.map(\.bitPattern))
  }

  @Test func integersReadBack() throws {
    let array = NPYIntegerArray(shape: [2, 2], values: [0, -1, Int32.min, Int32.max])
    try NPY.write(array, to: folder.file("i.npy"))
    #expect(try NPY.readIntegers(folder.file("i.npy")) == array)
    #expect(failure(folder.file("i.npy")) == "descr|found '<i4', expected '<f4'")
  }

  @Test func readsOtherSpacingAndKeyOrder() throws {
    let path = try file("{'shape':(2,3),'fortran_order':False ,  'descr': '<f4'}   ")
    #expect(try NPY.readFloats(path).shape == [2, 3])
  }

  @Test(arguments: [
    ("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", "found '>f4'"),
    ("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", "found '<f8'"),
    ("{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }", "found '|O'"),
    ("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", "column-major"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }", "needs 8 elements"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }", "needs 5 elements"),
    (
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
      "element count overflows"
    ),
    (
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387910,), }",
      "needs 4611686018427387910 elements"
    ),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "a length"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (-6,), }", "expected a length"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (6), }", "expected ','"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': 6, }", "expected \"(\""),
    ("{'descr': '<f4', 'fortran_order': 0, 'shape': (6,), }", "expected \"False\""),
    ("{'descr': '<f4', 'shape': (6,), }", "header lacks"),
    ("{'descr': '<f4', 'descr': '<f4', 'shape': (6,), }", "unknown or repeated key 'descr'"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), 'x': 'y'}", "repeated key 'x'"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), } x", "must end with"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (6,)", "expected \"}\""),
    ("{'descr': '<f4", "unexpected byte"),
    ("", "expected \"{\""),
  ]) func refusesHeader(dictionary: String, cause: String) throws {
    let found = try #require(failure(file(dictionary)))
    #expect(found.contains(cause))
  }

  @Test func refusesManyDimensions() throws {
    let ones = String(repeating: "1, ", count: 33)
    let path = try file(
      "{'descr': '<f4', 'fortran_order': False, 'shape': (\(ones)), }", dataByteCount: 4)
    #expect(failure(path)?.contains("dimensions") == true)
  }

  @Test func refusesWrongFrame() throws {
    try NPY.write(NPYArray(shape: [3], values: [1, 2, 3]), to: folder.file("good.npy"))
    let good = try MappedFile(path: folder.file("good.npy")).allBytes(atMost: 1000)
    func failure(_ change: (inout [UInt8]) -> Void) throws -> String? {
      var bytes = good
      change(&bytes)
      return self.failure(try folder.write(bytes, to: "bad.npy"))
    }
    #expect(try failure { _ in } == nil)
    #expect(try failure { $0[0] = 0x92 } == "byte 0|not a .npy file: wrong magic")
    #expect(try failure { $0[6] = 2 } == "byte 6|.npy version 2.0, expected 1.0")
    #expect(try failure { $0[9] = 0xff }?.hasPrefix("byte 8|header ends at byte") == true)
    #expect(try failure { $0.append(0) }?.hasPrefix("shape|") == true)
    for count in good.indices { #expect(try failure { $0 = Array($0[..<count]) } != nil) }
  }
}
