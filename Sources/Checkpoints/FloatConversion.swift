// Exact conversion of stored elements to Float, in loops the compiler vectorises.

import CFloatKernels

/// Little-endian F32, F16 and BF16 to `Float`, exactly; F64 to the nearest; ggml's blocks.
enum FloatConversion {
  /// The `count` elements in `bytes`, or nil where `type` is not one that is read as a weight.
  ///
  /// An F16 infinity or NaN becomes an infinity or NaN.
  static func floats(_ bytes: RawSpan, type: ElementType, count: Int) -> [Float]? {
    precondition(
      bytes.byteCount == type.byteCount(ofElements: count), "the bytes must hold the elements")
    return unsafe bytes.withUnsafeBytes { source in
      switch type {
      case .float32:
        unsafe floats(count) { target in
          for index in 0..<count {
            let bits = unsafe source.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)
            unsafe target[index] = Float(bitPattern: UInt32(littleEndian: bits))
          }
        }
      case .bfloat16:
        unsafe floats(count) { target in
          for index in 0..<count {
            let bits = unsafe source.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
            unsafe target[index] = Float(bitPattern: UInt32(UInt16(littleEndian: bits)) << 16)
          }
        }
      case .float16:
        unsafe floats(count) { target in
          // A header may leave the elements at an odd byte.
          if UInt(bitPattern: source.baseAddress).isMultiple(of: 2) {
            let halves = unsafe source.bindMemory(to: UInt16.self)
            unsafe lodge_floats_from_halves(halves.baseAddress, target.baseAddress, count)
          } else {
            let halves = (0..<count).map {
              unsafe source.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self)
            }
            unsafe lodge_floats_from_halves(halves, target.baseAddress, count)
          }
        }
      case .float64:
        unsafe floats(count) { target in
          for index in 0..<count {
            let bits = unsafe source.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self)
            unsafe target[index] = Float(Double(bitPattern: UInt64(littleEndian: bits)))
          }
        }
      case .q4x0, .q4x1, .q5x0, .q5x1, .q8x0, .q4K, .q5K, .q6K:
        unsafe floats(count) { target in
          for block in 0..<count / type.blockElementCount {
            unsafe QuantizedBlock.decode(
              UnsafeRawBufferPointer(
                rebasing: source[block * type.byteCount..<(block + 1) * type.byteCount]),
              type: type, into: target, at: block * type.blockElementCount)
          }
        }
      default: nil
      }
    }
  }

  private static func floats(
    _ count: Int, _ fill: (UnsafeMutableBufferPointer<Float>) -> Void
  ) -> [Float] {
    unsafe [Float](unsafeUninitializedCapacity: count) { target, initializedCount in
      unsafe fill(target)
      initializedCount = count
    }
  }

  /// Index of the first infinity or NaN, or nil.
  static func firstNonFiniteIndex(_ values: [Float]) -> Int? {
    guard unsafe lodge_largest_magnitude(values, values.count) >= 0x7f80_0000 else { return nil }
    return values.firstIndex { !$0.isFinite }
  }
}
