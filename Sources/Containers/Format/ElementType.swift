// The ten element types of a dataset and the Swift types that stand for them.

#if !_endian(little)
  #error("Lodge stores little-endian words and copies them as they are")
#endif

/// Type of the elements of a dataset, always stored little endian.
public enum ElementType: String, CaseIterable, Sendable {
  case u8, u16, u32, u64, i8, i16, i32, i64, f32, f64

  /// Bytes of one element: 1, 2, 4 or 8.
  public var byteCount: Int {
    switch self {
    case .u8, .i8: 1
    case .u16, .i16: 2
    case .u32, .i32, .f32: 4
    case .u64, .i64, .f64: 8
    }
  }
}

/// A Swift number that can be an element of a dataset; only the ten types below conform.
public protocol ContainerElement: BitwiseCopyable, Sendable, AdditiveArithmetic {
  static var elementType: ElementType { get }
}

extension UInt8: ContainerElement { public static var elementType: ElementType { .u8 } }
extension UInt16: ContainerElement { public static var elementType: ElementType { .u16 } }
extension UInt32: ContainerElement { public static var elementType: ElementType { .u32 } }
extension UInt64: ContainerElement { public static var elementType: ElementType { .u64 } }
extension Int8: ContainerElement { public static var elementType: ElementType { .i8 } }
extension Int16: ContainerElement { public static var elementType: ElementType { .i16 } }
extension Int32: ContainerElement { public static var elementType: ElementType { .i32 } }
extension Int64: ContainerElement { public static var elementType: ElementType { .i64 } }
extension Float: ContainerElement { public static var elementType: ElementType { .f32 } }
extension Double: ContainerElement { public static var elementType: ElementType { .f64 } }
