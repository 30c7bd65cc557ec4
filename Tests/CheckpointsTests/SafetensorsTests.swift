// The safetensors reader: exact values, and one broken rule a test.

import Bytes
import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite struct SafetensorsTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func open(_ bytes: [UInt8]) throws -> Safetensors {
    try Safetensors(path: folder.write(bytes, to: "t.safetensors"))
  }

  private func failure(_ bytes: [UInt8]) -> String? {
    let error = #expect(throws: InputError.self) { try open(bytes) }
    return error.map { "\($0.place)|\($0.cause)" }
  }

  /// A header of two tensors, a: F32 [2, 3] and b: I64 [2], with 40 bytes of data.
  private func file(
    a: String = #"{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}"#,
    b: String = #"{"dtype":"I64","shape":[2],"data_offsets":[24,40]}"#,
    metadata: String? = nil, dataByteCount: Int = 40
  ) -> [UInt8] {
    let head = metadata.map { #""__metadata__":\#($0),"# } ?? ""
    return SafetensorsBuilder.bytes(
      header: Array("{\(head)\"a\":\(a),\"b\":\(b)}".utf8),
      data: [UInt8](repeating: 0, count: dataByteCount))
  }

  @Test func readsDescriptions() throws {
    let bytes = file(metadata: #"{"format":"pt"}"#)
    let source = try open(bytes)
    let start = bytes.count - 40
    #expect(source.metadata == ["format": "pt"])
    #expect(source.formatName == "safetensors")
    #expect(
      source.tensors == [
        TensorDescription(name: "a", shape: [2, 3], type: .float32, byteRange: start..<start + 24),
        TensorDescription(name: "b", shape: [2], type: .int64, byteRange: start + 24..<start + 40),
      ])
    #expect(source.tensors.map(\.elementCount) == [6, 2])
  }

  @Test func acceptsWhatTheFormatAllows() throws {
    // Tensors in any order, scalars, tensors without elements, a header padded with spaces, none.
    var builder = SafetensorsBuilder()
    builder.add("z", shape: [], values: [1.5])
    builder.add("y", shape: [3, 0], values: [])
    builder.add("x", shape: [1, 2], values: [2.5, -0.0])
    let source = try open(builder.bytes)
    #expect(source.tensors.map(\.name) == ["x", "y", "z"])
    #expect(try source.floats("z") == [1.5])
    #expect(try source.floats("y").isEmpty)
    #expect(try source.floats("x").map(\.bitPattern) == [0x4020_0000, 0x8000_0000])
    #expect(
      try open(SafetensorsBuilder.bytes(header: Array("{}    ".utf8), data: [])).tensors == [])
  }

  @Test func convertsEveryHalfExactly() throws {
    let patterns = (0...UInt16.max).filter { $0 & 0x7c00 != 0x7c00 }
    var builder = SafetensorsBuilder()
    builder.add(
      "h", type: "F16", shape: [patterns.count],
      bytes: patterns.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] })
    let values = try open(builder.bytes).floats("h")
    #expect(
      values.map(\.bitPattern) == patterns.map { Float(Float16(bitPattern: $0)).bitPattern })
  }

  @Test func convertsEveryBrainFloatExactly() throws {
    let patterns = (0...UInt16.max).filter { $0 & 0x7f80 != 0x7f80 }
    var builder = SafetensorsBuilder()
    builder.add("odd", type: "U8", shape: [1], bytes: [9])  // what follows is not aligned
    builder.add(
      "b", type: "BF16", shape: [2, patterns.count / 2],
      bytes: patterns.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] })
    let values = try open(builder.bytes).floats("b")
    #expect(values.map(\.bitPattern) == patterns.map { UInt32($0) << 16 })
  }

  @Test(
    arguments: [
      ("F16", [0x00, 0x7c]), ("F16", [0x00, 0xfc]), ("F16", [0x01, 0x7c]), ("F16", [0xff, 0x7f]),
      ("BF16", [0x80, 0x7f]), ("BF16", [0x80, 0xff]), ("BF16", [0xc0, 0x7f]),
      ("F32", [0, 0, 0x80, 0x7f]), ("F32", [0, 0, 0x80, 0xff]), ("F32", [1, 0, 0x80, 0x7f]),
    ] as [(String, [UInt8])]) func refusesNonFiniteWeights(type: String, pattern: [UInt8]) throws
  {
    let zero = [UInt8](repeating: 0, count: pattern.count)
    var builder = SafetensorsBuilder()
    builder.add("w", type: type, shape: [2, 2], bytes: zero + zero + pattern + pattern)
    let source = try open(builder.bytes)
    let offset = builder.bytes.count - 2 * pattern.count
    #expect(
      throws: InputError(
        source.path, place: "w", offset: offset, "element 2 is not a finite number")
    ) { try source.floats("w") }
  }

  @Test func refusesOtherTypesOnlyWhenReadAsWeights() throws {
    let source = try open(file())
    #expect(
      throws: InputError(source.path, place: "b", "elements of type I64 are not read as weights")
    ) { try source.floats("b") }
    #expect(throws: InputError(source.path, place: "c", "there is no such tensor")) {
      try source.floats("c")
    }
  }

  @Test func everyTruncationIsRefused() throws {
    let bytes = file()
    for count in bytes.indices { _ = failure(Array(bytes[..<count])) }
    _ = failure(bytes + [0])
  }

  /// Any byte of the header changed: refused, or read with all ranges inside the file.
  @Test func mutatedHeadersNeverTrap() throws {
    let good = file(metadata: #"{"format":"pt"}"#)
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    for round in 0..<1000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      var bytes = good
      let position = Int(state >> 33) % (good.count - 40)
      bytes[position] = UInt8(truncatingIfNeeded: state >> 20)
      do {
        let source = try open(bytes)
        #expect(
          source.tensors.allSatisfy { $0.byteRange.upperBound <= bytes.count }, "round \(round)")
      } catch {
        #expect(error is InputError, "round \(round)")
      }
    }
  }

  @Test(.needsSharedModels) func readsFilesOfOtherWriters() throws {
    let shared = try #require(Repository.sharedModels)
    func source(_ name: String) throws -> Safetensors {
      try Safetensors(path: shared.appending(path: "format-fixtures/\(name).safetensors").path)
    }
    let three = try source("tensor-3d-float32")
    #expect(three.tensors.map(\.shape) == [[2, 2, 3]])
    #expect(try three.floats("embedding") == [22, 23, 24, 11, 12, 13, 2, 3, 4, 1, 2, 3])
    #expect(try source("tensor-4d-float32").tensors.map(\.shape) == [[2, 3, 1, 3]])
    #expect(try source("tensor-1d-int32").tensors.map(\.type) == [.int32])
    #expect(try source("tensor-2d-float64").tensors.map(\.type) == [.float64])
  }
}
