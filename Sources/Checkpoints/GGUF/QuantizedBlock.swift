// Blocks of quantised weights as ggml stores them (ggml-quants.c, dequantize_row_*).

import CFloatKernels

/// Decodes one block; sums and products are of `Float` and in ggml's order, so results are equal.
enum QuantizedBlock {
  /// Writes `type.blockElementCount` values to `target` from index `start` on.
  ///
  /// With 4-bit codes q, 6-bit scales s and minima m, and half-precision d and e:
  /// Q4_0: d (q - 8); Q4_1: d q + e; Q5_0: d (q - 16); Q5_1: d q + e; Q8_0: d q;
  /// Q4_K, Q5_K: (d s) q - (e m) by 32 elements; Q6_K: (d s) (q - 32) by 16 elements.
  static func decode(
    _ block: UnsafeRawBufferPointer, type: ElementType,
    into target: UnsafeMutableBufferPointer<Float>, at start: Int
  ) {
    switch type {
    case .q4x0:
      unsafe decodeHalves(block, into: target, at: start, hasFifth: false, hasMinimum: false)
    case .q4x1:
      unsafe decodeHalves(block, into: target, at: start, hasFifth: false, hasMinimum: true)
    case .q5x0:
      unsafe decodeHalves(block, into: target, at: start, hasFifth: true, hasMinimum: false)
    case .q5x1:
      unsafe decodeHalves(block, into: target, at: start, hasFifth: true, hasMinimum: true)
    case .q8x0:
      let scale = unsafe half(block, 0)
      for index in 0..<32 {
        unsafe target[start + index] = Float(Int8(bitPattern: block[2 + index])) * scale
      }
    case .q4K: unsafe decodeK4(block, into: target, at: start, hasFifth: false)
    case .q5K: unsafe decodeK4(block, into: target, at: start, hasFifth: true)
    case .q6K: unsafe decodeK6(block, into: target, at: start)
    default:
      preconditionFailure("not a quantised type")
    }
  }

  @inline(__always)
  private static func half(_ block: UnsafeRawBufferPointer, _ offset: Int) -> Float {
    unsafe lodge_float_from_half(UInt16(block[offset]) | UInt16(block[offset + 1]) << 8)
  }

  /// Q4_0, Q4_1, Q5_0, Q5_1: low nibbles are elements 0 to 15, high ones 16 to 31.
  @inline(__always)
  private static func decodeHalves(
    _ block: UnsafeRawBufferPointer, into target: UnsafeMutableBufferPointer<Float>, at start: Int,
    hasFifth: Bool, hasMinimum: Bool
  ) {
    let scale = unsafe half(block, 0)
    let minimum = hasMinimum ? unsafe half(block, 2) : 0
    var codes = hasMinimum ? 4 : 2
    var fifths: UInt32 = 0
    if hasFifth {
      for byte in 0..<4 { unsafe fifths |= UInt32(block[codes + byte]) << UInt32(8 * byte) }
      codes += 4
    }
    let center: Int32 = hasMinimum ? 0 : hasFifth ? 16 : 8
    for index in 0..<16 {
      let byte = unsafe block[codes + index]
      let low = Int32(byte & 15) | Int32(fifths >> UInt32(index) & 1) << 4
      let high = Int32(byte >> 4) | Int32(fifths >> UInt32(index + 16) & 1) << 4
      // Adding a minimum of zero would turn -0 into 0.
      let (first, second) = (Float(low - center) * scale, Float(high - center) * scale)
      unsafe target[start + index] = hasMinimum ? first + minimum : first
      unsafe target[start + index + 16] = hasMinimum ? second + minimum : second
    }
  }

  /// Q4_K and Q5_K: eight groups of 32, each with a 6-bit scale and minimum.
  @inline(__always)
  private static func decodeK4(
    _ block: UnsafeRawBufferPointer, into target: UnsafeMutableBufferPointer<Float>, at start: Int,
    hasFifth: Bool
  ) {
    let (scale, minimum) = unsafe (half(block, 0), half(block, 2))
    let codes = hasFifth ? 16 + 32 : 16
    for group in 0..<8 {
      let (groupScale, groupMinimum) = unsafe scaleAndMinimum(block, group)
      let (product, offset) = (scale * Float(groupScale), minimum * Float(groupMinimum))
      for index in 0..<32 {
        let byte = unsafe block[codes + group / 2 * 32 + index]
        var code = group.isMultiple(of: 2) ? byte & 15 : byte >> 4
        if hasFifth { code |= unsafe (block[16 + index] >> UInt8(group) & 1) << 4 }
        unsafe target[start + group * 32 + index] = product * Float(code) - offset
      }
    }
  }

  /// Twelve bytes from offset 4 pack eight 6-bit scales and eight 6-bit minima (get_scale_min_k4).
  @inline(__always)
  private static func scaleAndMinimum(_ block: UnsafeRawBufferPointer, _ group: Int)
    -> (UInt8, UInt8)
  {
    let first = unsafe block[4 + group]
    let second = unsafe block[8 + group]
    guard group >= 4 else { return (first & 63, second & 63) }
    let before = unsafe block[group]
    return (second & 15 | (before >> 6) << 4, second >> 4 | (first >> 6) << 4)
  }

  /// Q6_K: low four bits, high two bits, sixteen signed scales, and the half at the end.
  private static func decodeK6(
    _ block: UnsafeRawBufferPointer, into target: UnsafeMutableBufferPointer<Float>, at start: Int
  ) {
    let scale = unsafe half(block, 208)
    for index in 0..<256 {
      let (part, quarter, place) = (index / 128, index / 32 % 4, index % 32)
      let byte = unsafe block[part * 64 + quarter % 2 * 32 + place]
      let low = quarter < 2 ? byte & 15 : byte >> 4
      let high = unsafe block[128 + part * 32 + place] >> UInt8(2 * quarter) & 3
      let groupScale = unsafe Int8(bitPattern: block[192 + index / 16])
      unsafe target[start + index] =
        scale * Float(groupScale) * Float(Int32(low | high << 4) - 32)
    }
  }
}
