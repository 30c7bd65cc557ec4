// One tensor info of a GGUF file.

import Bytes

/// Name, shape, type and offset as the file states them.
struct GGUFTensorInfo {
  /// Where the info begins.
  let start: Int
  let name: String
  /// Row-major, the reverse of what the file has.
  let shape: [Int]
  private let typeNumber: UInt32
  private let offset: UInt64

  init(_ cursor: inout ByteCursor) throws(InputError) {
    start = cursor.position
    name = try GGUF.text(&cursor, "tensor name", atMost: GGUF.maximumNameByteCount)
    let rank = try cursor.integer(UInt32.self, "rank")
    guard rank <= GGUF.maximumRank else {
      throw cursor.failure(
        "\(name): rank \(rank), at most \(GGUF.maximumRank) is read", at: start)
    }
    var lengths: [Int] = []
    for _ in 0..<rank {
      let length = try cursor.integer(UInt64.self, "length")
      guard let length = Int(exactly: length) else {
        throw cursor.failure("\(name): an axis of length \(length)", at: start)
      }
      lengths.append(length)
    }
    shape = lengths.reversed()
    typeNumber = try cursor.integer(UInt32.self, "type")
    offset = try cursor.integer(UInt64.self, "offset")
  }

  /// The type, or nil where it is not read.
  var type: ElementType? { GGUFTensorInfo.types[typeNumber] }

  /// ggml's name of the type.
  var typeName: String {
    type?.rawValue ?? GGUFTensorInfo.otherTypes[typeNumber] ?? "number \(typeNumber)"
  }

  /// The tensor, when its bytes lie in `data`.
  func description(type: ElementType, data: Range<Int>, alignment: Int, _ cursor: ByteCursor)
    throws(InputError) -> TensorDescription
  {
    let rowLength = shape.last ?? 1
    guard rowLength.isMultiple(of: type.blockElementCount) else {
      throw cursor.failure(
        "\(name): rows of \(rowLength) elements are not whole blocks of \(type.rawValue)",
        at: start)
    }
    guard let count = TensorDescription.elementCount(shape),
      let byteCount = type.byteCount(ofElements: count)
    else { throw cursor.failure("\(name): the byte count of shape \(shape) overflows", at: start) }
    guard offset.isMultiple(of: UInt64(alignment)) else {
      throw cursor.failure(
        "\(name): offset \(offset) is not a multiple of the alignment \(alignment)", at: start)
    }
    guard offset <= UInt64(data.count), byteCount <= data.count - Int(offset) else {
      throw cursor.failure(
        "\(name): \(byteCount) bytes at offset \(offset) go beyond the \(data.count) bytes of data",
        at: start)
    }
    let begin = data.lowerBound + Int(offset)
    return TensorDescription(
      name: name, shape: shape, type: type, byteRange: begin..<begin + byteCount)
  }

  /// Numbers of `enum ggml_type`.
  private static let types: [UInt32: ElementType] = [
    0: .float32, 1: .float16, 2: .q4x0, 3: .q4x1, 6: .q5x0, 7: .q5x1, 8: .q8x0, 12: .q4K, 13: .q5K,
    14: .q6K, 24: .int8, 25: .int16, 26: .int32, 27: .int64, 28: .float64, 30: .bfloat16,
  ]

  private static let otherTypes: [UInt32: String] = [
    9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS",
    19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M", 34: "TQ1_0",
    35: "TQ2_0", 39: "MXFP4",
  ]
}
