// Weights in 16 bits: their element type in containers, and both conversions.

import Bytes
import CFloatKernels
import Containers
import Models

extension WeightEncoding {
  /// Halves and bfloat16 are stored as the words that they are.
  var elementType: ElementType { self == .float32 ? .f32 : .u16 }

  /// The words of `values`, which this encoding holds exactly; not for `float32`.
  func words(_ values: [Float]) -> [UInt16] {
    precondition(self != .float32, "words of 16 bits")
    guard self == .float16 else {
      return values.map { UInt16(truncatingIfNeeded: $0.bitPattern >> 16) }
    }
    return unsafe [UInt16](unsafeUninitializedCapacity: values.count) { target, count in
      unsafe lodge_halves_from_floats(values, target.baseAddress, values.count)
      count = values.count
    }
  }
}
