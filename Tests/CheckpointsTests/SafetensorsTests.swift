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
    #expect(
      throws: InputError(source.path, place: "w", "element 2 is not a finite number")
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

  @Test(arguments: [0, 7]) func refusesFileWithoutLength(count: Int) {
    let found = failure([UInt8](repeating: 0, count: count))
    #expect(found?.hasPrefix("|too short for a safetensors file: \(count) bytes") == true)
  }

  @Test(arguments: [
    (UInt64(100_000_001), "exceeds the limit"), (UInt64.max, "exceeds the limit"),
    (1 << 63, "exceeds the limit"), (1000, "goes beyond the end"),
  ]) func refusesHeaderLength(length: UInt64, cause: String) {
    var bytes = file()
    for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: length >> (8 * UInt64(index))) }
    #expect(failure(bytes)?.hasPrefix("byte 0|header length \(length) \(cause)") == true)
  }

  @Test(arguments: [
    ("", "byte 8|header does not begin"), ("[]", "byte 8|header does not begin"),
    (" {}", "byte 8|header does not begin"), ("{", "byte 9|expected a key"),
    ("{}x", "byte 10|text after"), (#"{"a":1,}"#, "byte 15|expected a key"),
    (#"{"a":1,"a":1}"#, "byte 15|duplicate key \"a\""),
    (#"{"a":1"#, "byte 14|expected ','"), ("{\"a\u{1}\":1}", "byte 11|control"),
  ]) func refusesHeaderText(header: String, expected: String) {
    let bytes = SafetensorsBuilder.bytes(header: Array(header.utf8), data: [])
    #expect(failure(bytes)?.hasPrefix(expected) == true)
  }

  @Test(arguments: [
    ("[]", "a|expected a JSON object"),
    (#"{"shape":[6],"data_offsets":[0,24]}"#, "a.dtype|missing key"),
    (#"{"dtype":"F32","data_offsets":[0,24]}"#, "a.shape|missing key"),
    (#"{"dtype":"F32","shape":[6]}"#, "a.data_offsets|missing key"),
    (#"{"dtype":"F32","shape":[6],"data_offsets":[0,24],"x":0}"#, "a.x|unknown key"),
    (#"{"dtype":"F32","shape":[6],"shape":[6],"data_offsets":[0,24]}"#, "byte 40|duplicate key"),
    (#"{"dtype":32,"shape":[6],"data_offsets":[0,24]}"#, "a.dtype|expected a string"),
    (#"{"dtype":"F31","shape":[6],"data_offsets":[0,24]}"#, "a|unknown dtype \"F31\""),
    (#"{"dtype":"f32","shape":[6],"data_offsets":[0,24]}"#, "a|unknown dtype \"f32\""),
    (#"{"dtype":"F32","shape":6,"data_offsets":[0,24]}"#, "a.shape|expected an array"),
    (#"{"dtype":"F32","shape":[6.0],"data_offsets":[0,24]}"#, "a.shape[0]|expected an integer"),
    (#"{"dtype":"F32","shape":[-2,-3],"data_offsets":[0,24]}"#, "a|negative length"),
    (
      #"{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,24]}"#,
      "a|byte count of shape [4294967296, 4294967296] overflows"
    ),
    (#"{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}"#, "a|byte count of"),
    (#"{"dtype":"F32","shape":[7],"data_offsets":[0,24]}"#, "a|shape [7] of F32 needs 28 bytes"),
    (#"{"dtype":"F16","shape":[6],"data_offsets":[0,24]}"#, "a|shape [6] of F16 needs 12 bytes"),
    (#"{"dtype":"F32","shape":[6],"data_offsets":[0,24,48]}"#, "a|data_offsets has 3 numbers"),
    (#"{"dtype":"F32","shape":[6],"data_offsets":[24,0]}"#, "a|data_offsets [24, 0] are not"),
    (#"{"dtype":"F32","shape":[6],"data_offsets":[-24,0]}"#, "a|data_offsets [-24, 0] are not"),
    (
      #"{"dtype":"F32","shape":[6],"data_offsets":[9223372036854775783,9223372036854775807]}"#,
      "a|data_offsets [9223372036854775783, 9223372036854775807] go beyond the 40 bytes"
    ),
    (#"{"dtype":"F32","shape":[6],"data_offsets":[20,44]}"#, "a|data_offsets [20, 44] go beyond"),
  ]) func refusesTensor(entry: String, expected: String) {
    let found = failure(file(a: entry))
    #expect(found?.hasPrefix(expected) == true, "\(found ?? "read without error")")
  }

  @Test func refusesTensorsThatDoNotTileTheData() {
    let float = #"{"dtype":"F32","shape":[6],"data_offsets":[%]}"#
    func with(_ a: String, _ b: String, dataByteCount: Int) -> String? {
      failure(
        file(
          a: float.replacing("%", with: a), b: float.replacing("%", with: b),
          dataByteCount: dataByteCount))
    }
    // An overlap, the same bytes twice, a gap at the start, between, and at the end.
    #expect(with("0,24", "16,40", dataByteCount: 40)?.contains("inside another tensor") == true)
    #expect(with("0,24", "0,24", dataByteCount: 24)?.contains("inside another tensor") == true)
    #expect(with("8,32", "32,56", dataByteCount: 56)?.hasPrefix("a|begins at byte") == true)
    #expect(with("0,24", "32,56", dataByteCount: 56)?.hasPrefix("b|begins at byte") == true)
    #expect(
      with("0,24", "24,48", dataByteCount: 50)?.hasSuffix("2 bytes after the last tensor") == true)
  }

  @Test(arguments: [
    ("[]", "__metadata__|expected a JSON object"),
    (#"{"a":1}"#, "__metadata__.a|expected a string"),
    (#"{"a":"x","b":null}"#, "__metadata__.b|expected a string"),
    (#"{"a":{"b":"c"}}"#, "__metadata__.a|expected a string"),
  ]) func refusesMetadata(metadata: String, expected: String) {
    #expect(failure(file(metadata: metadata))?.hasPrefix(expected) == true)
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
