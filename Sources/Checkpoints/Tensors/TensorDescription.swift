// What a checkpoint file says about one tensor: name, shape, element type, place.

/// Element types by the names that the formats give them: those of safetensors, then ggml's blocks.
/// Some are described only: weights are not read from them.
public enum ElementType: String, Sendable, CaseIterable {
  case float64 = "F64"
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case int64 = "I64"
  case int32 = "I32"
  case int16 = "I16"
  case int8 = "I8"
  case uint8 = "U8"
  case bool = "BOOL"
  case uint16 = "U16"
  case uint32 = "U32"
  case uint64 = "U64"
  case float8E4M3 = "F8_E4M3"
  case float8E5M2 = "F8_E5M2"
  case float8E8M0 = "F8_E8M0"
  case float6E2M3 = "F6_E2M3"
  case float6E3M2 = "F6_E3M2"
  case float4 = "F4"
  case complex64 = "C64"
  case q4x0 = "Q4_0"
  case q4x1 = "Q4_1"
  case q5x0 = "Q5_0"
  case q5x1 = "Q5_1"
  case q8x0 = "Q8_0"
  case q4K = "Q4_K"
  case q5K = "Q5_K"
  case q6K = "Q6_K"

  /// Elements that are stored together: 1, or the length of a quantisation block.
  public var blockElementCount: Int {
    switch self {
    case .q4x0, .q4x1, .q5x0, .q5x1, .q8x0: 32
    case .q4K, .q5K, .q6K: 256
    case .float4: 2
    case .float6E2M3, .float6E3M2: 4
    case .float64, .float32, .float16, .bfloat16, .int64, .int32, .int16, .int8, .uint8, .bool,
      .uint16, .uint32, .uint64, .float8E4M3, .float8E5M2, .float8E8M0, .complex64:
      1
    }
  }

  /// Bytes of one block of `blockElementCount` elements.
  public var byteCount: Int {
    switch self {
    case .float64, .int64, .uint64, .complex64: 8
    case .float32, .int32, .uint32: 4
    case .float6E2M3, .float6E3M2: 3
    case .float16, .bfloat16, .int16, .uint16: 2
    case .int8, .uint8, .bool, .float8E4M3, .float8E5M2, .float8E8M0, .float4: 1
    case .q4x0: 2 + 16
    case .q4x1: 4 + 16
    case .q5x0: 2 + 4 + 16
    case .q5x1: 4 + 4 + 16
    case .q8x0: 2 + 32
    case .q4K: 4 + 12 + 128
    case .q5K: 4 + 12 + 32 + 128
    case .q6K: 128 + 64 + 16 + 2
    }
  }

  /// Whether weights are read from elements of this type.
  public var isReadableAsFloat: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16: true
    case .q4x0, .q4x1, .q5x0, .q5x1, .q8x0, .q4K, .q5K, .q6K: true
    case .int64, .int32, .int16, .int8, .uint8, .bool, .uint16, .uint32, .uint64, .float8E4M3,
      .float8E5M2, .float8E8M0, .float6E2M3, .float6E3M2, .float4, .complex64:
      false
    }
  }

  /// Whether this is a number of eight bits, which needs a scale to be a weight.
  public var isEightBitFloat: Bool {
    self == .float8E4M3 || self == .float8E5M2 || self == .float8E8M0
  }

  /// Whether it is a type of ggml, stored in blocks of quantised numbers with their scale.
  var isBlock: Bool {
    switch self {
    case .q4x0, .q4x1, .q5x0, .q5x1, .q8x0, .q4K, .q5K, .q6K: true
    default: false
    }
  }

  /// Bytes of `elementCount` elements without gaps; nil where that overflows or splits a block.
  func byteCount(ofElements elementCount: Int) -> Int? {
    guard elementCount.isMultiple(of: blockElementCount) else { return nil }
    let (product, overflow) = (elementCount / blockElementCount)
      .multipliedReportingOverflow(by: byteCount)
    return overflow ? nil : product
  }
}

/// One tensor of a checkpoint: row-major elements of `type` at `byteRange` of its file.
public struct TensorDescription: Equatable, Sendable {
  /// The checkpoint's own key, or the Hugging Face name where a format's names are mapped.
  public var name: String
  public var shape: [Int]
  public var type: ElementType
  /// Bytes from the beginning of the file that holds the tensor: exactly its elements, except that
  /// views of PyTorch storages span those of the storage, and chunked HDF5 datasets, which lie
  /// scattered, have a range of their stored length that begins at 0.
  public var byteRange: Range<Int>

  public init(name: String, shape: [Int], type: ElementType, byteRange: Range<Int>) {
    self.name = name
    self.shape = shape
    self.type = type
    self.byteRange = byteRange
  }

  /// Product of `shape`; a reader has made sure that it does not overflow.
  public var elementCount: Int { shape.reduce(1, *) }

  /// Product of `shape`, or nil where it overflows or a length is negative.
  static func elementCount(_ shape: [Int]) -> Int? {
    var result = 1
    for length in shape {
      let (product, overflow) = result.multipliedReportingOverflow(by: length)
      guard length >= 0, !overflow else { return nil }
      result = product
    }
    return result
  }
}
