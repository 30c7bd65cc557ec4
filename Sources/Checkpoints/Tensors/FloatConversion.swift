// Exact conversion of stored elements to Float, in loops the compiler vectorises.

import CFloatKernels

/// Little-endian F32, F16 and BF16 to `Float`, exactly; F64 to the nearest; ggml's blocks.
enum FloatConversion {
  /// Elements of a tensor in single precision.
  struct Converted {
    var values: [Float]
    /// Whether none of what was converted is an infinity or NaN.
    var isFinite: Bool
  }

  /// Elements that are converted and looked at before the next, while they are in the cache.
  private static let blockElementCount = 1 << 14

  /// The `count` elements in `bytes`, or nil where `type` is not one that is read as a weight.
  ///
  /// An F16 infinity or NaN becomes an infinity or NaN.
  static func floats(_ bytes: RawSpan, type: ElementType, count: Int) -> Converted? {
    precondition(
      bytes.byteCount == type.byteCount(ofElements: count), "the bytes must hold the elements")
    return unsafe bytes.withUnsafeBytes { source in
      switch type {
      case .float32:
        unsafe floats(count) { range, target in
          for index in range {
            let bits = unsafe source.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)
            unsafe target[index] = Float(bitPattern: UInt32(littleEndian: bits))
          }
        }
      case .bfloat16:
        unsafe floats(count) { range, target in
          for index in range {
            let bits = unsafe source.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
            unsafe target[index] = Float(bitPattern: UInt32(UInt16(littleEndian: bits)) << 16)
          }
        }
      case .float16:
        unsafe floats(count) { range, target in
          let part = unsafe UnsafeRawBufferPointer(
            rebasing: source[2 * range.lowerBound..<2 * range.upperBound])
          let place = unsafe target.baseAddress.map { unsafe $0 + range.lowerBound }
          // A header may leave the elements at an odd byte.
          if UInt(bitPattern: part.baseAddress).isMultiple(of: 2) {
            let halves = unsafe part.bindMemory(to: UInt16.self)
            unsafe lodge_floats_from_halves(halves.baseAddress, place, range.count)
          } else {
            unsafe lodge_floats_from_halves(words(part), place, range.count)
          }
        }
      case .float64:
        unsafe floats(count) { range, target in
          for index in range {
            let bits = unsafe source.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self)
            unsafe target[index] = Float(Double(bitPattern: UInt64(littleEndian: bits)))
          }
        }
      case .q4x0, .q4x1, .q5x0, .q5x1, .q8x0, .q4K, .q5K, .q6K:
        unsafe floats(count) { range, target in
          let size = type.blockElementCount
          for block in range.lowerBound / size..<range.upperBound / size {
            unsafe QuantizedBlock.decode(
              UnsafeRawBufferPointer(
                rebasing: source[block * type.byteCount..<(block + 1) * type.byteCount]),
              type: type, into: target, at: block * size)
          }
        }
      default: nil
      }
    }
  }

  /// `count` elements, of which `fill` puts ranges in their places; ranges begin with a whole block of
  /// every type.
  private static func floats(
    _ count: Int, _ fill: (Range<Int>, UnsafeMutableBufferPointer<Float>) -> Void
  ) -> Converted {
    var largest: UInt32 = 0
    let values = unsafe [Float](unsafeUninitializedCapacity: count) { target, initializedCount in
      for start in stride(from: 0, to: count, by: blockElementCount) {
        let range = start..<min(start + blockElementCount, count)
        unsafe fill(range, target)
        let place = unsafe target.baseAddress.map { unsafe $0 + start }
        largest = max(largest, unsafe lodge_largest_magnitude(place, range.count))
      }
      initializedCount = count
    }
    return Converted(values: values, isFinite: largest < 0x7f80_0000)
  }

  /// The little-endian words in `bytes`, which are whole words.
  private static func words(_ bytes: UnsafeRawBufferPointer) -> [UInt16] {
    unsafe [UInt16](unsafeUninitializedCapacity: bytes.count / 2) { target, count in
      count = bytes.count / 2
      for index in 0..<count {
        unsafe target[index] = UInt16(
          littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
      }
    }
  }

  /// The words in `bytes` as they are, and which of them is the first infinity or NaN; nil where
  /// `type` is neither F16 nor BF16.
  static func words(_ bytes: RawSpan, type: ElementType)
    -> (words: [UInt16], firstNonFinite: Int?)?
  {
    let infinity: UInt16
    switch type {
    case .float16: infinity = 0x7c00
    case .bfloat16: infinity = 0x7f80
    default: return nil
    }
    let words = unsafe bytes.withUnsafeBytes { unsafe FloatConversion.words($0) }
    guard unsafe lodge_largest_word(words, words.count) >= infinity else { return (words, nil) }
    return (words, words.firstIndex { $0 & 0x7fff >= infinity })
  }
}
