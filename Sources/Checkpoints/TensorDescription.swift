// What a checkpoint file says about one tensor: name, shape, element type, place.

/// Element types by their safetensors names; only the floating-point ones up to 32 bits are weights.
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

  /// Bytes of one element.
  public var byteCount: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16, .int16: 2
    case .int8, .uint8, .bool: 1
    }
  }

  /// Whether every value of this type is exactly a `Float`, so that weights are read from it.
  public var isReadableAsFloat: Bool {
    switch self {
    case .float32, .float16, .bfloat16: true
    case .float64, .int64, .int32, .int16, .int8, .uint8, .bool: false
    }
  }
}

/// One tensor of a checkpoint: row-major elements of `type` at `byteRange` of the file.
public struct TensorDescription: Equatable, Sendable {
  /// The checkpoint's own key.
  public var name: String
  public var shape: [Int]
  public var type: ElementType
  /// Bytes from the beginning of the file; its length is that of `shape` times the element's.
  public var byteRange: Range<Int>

  public init(name: String, shape: [Int], type: ElementType, byteRange: Range<Int>) {
    self.name = name
    self.shape = shape
    self.type = type
    self.byteRange = byteRange
  }

  /// Product of `shape`; a reader has made sure that it does not overflow.
  public var elementCount: Int { shape.reduce(1, *) }
}
