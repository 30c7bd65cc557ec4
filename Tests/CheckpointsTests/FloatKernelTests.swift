// The float kernels against definitions, and their variants against each other.

import CFloatKernels
import TestSupport
import Testing

@Suite struct FloatKernelTests {
  /// The value of a half by its definition.
  private func value(_ half: UInt16) -> Double {
    let exponent = Int(half >> 10 & 31)
    let fraction = Double(half & 0x3ff)
    let sign: Double = half >> 15 == 1 ? -1 : 1
    if exponent == 31 { return fraction == 0 ? sign * .infinity : .nan }
    if exponent == 0 { return sign * fraction * 0x1p-24 }
    return sign * (1024 + fraction) * Double(sign: .plus, exponent: exponent - 25, significand: 1)
  }

  private static let allHalves = (0...UInt16.max).map { $0 }

  @Test func everyHalfIsItsValue() {
    for isPortable in [false, true] {
      var floats = [Float](repeating: 0, count: 65536)
      if isPortable {
        unsafe lodge_floats_from_halves_portable(Self.allHalves, &floats, 65536)
      } else {
        unsafe lodge_floats_from_halves(Self.allHalves, &floats, 65536)
      }
      for half in Self.allHalves {
        let expected = value(half)
        let found = Double(floats[Int(half)])
        #expect(expected.isNaN ? found.isNaN : found == expected && found.sign == expected.sign)
      }
      var back = [UInt16](repeating: 0, count: 65536)
      unsafe lodge_halves_from_floats(floats, &back, 65536)
      #expect(zip(Self.allHalves, back).allSatisfy { value($0).isNaN || $0 == $1 })
    }
  }

  @Test(arguments: [0, 1, 7, 8, 9, 4099]) func variantsRoundAlike(count: Int) {
    var random = SplitMix(11)
    let floats = (0..<count).map { index -> Float in
      // All magnitudes, halves of the last place among them.
      let value = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random))
      return index.isMultiple(of: 3) ? Float(value.bitPattern & 1) * 0x1p-25 + 0.5 : value
    }
    var fast = [UInt16](repeating: 1, count: count)
    var portable = fast
    unsafe lodge_halves_from_floats(floats, &fast, count)
    unsafe lodge_halves_from_floats_portable(floats, &portable, count)
    #expect(zip(fast, portable).allSatisfy { $0 == $1 || value($0).isNaN && value($1).isNaN })
  }

  @Test func roundsToTheNearestHalfTiesToEven() {
    // Between 1 and the next half, and around the largest and the smallest ones.
    let cases: [(Float, UInt16)] = [
      (1 + 0x1p-11, 0x3c00), (1 + 0x1.8p-10, 0x3c02), (1 + 0x1.1p-11, 0x3c01),
      (65519.996, 0x7bff), (65520, 0x7c00), (-65520, 0xfc00), (0x1p-25, 0), (0x1.8p-24, 2),
      (0x1.01p-25, 1), (-0.0, 0x8000), (0x1p-14 - 0x1p-25, 0x0400),
    ]
    for (float, expected) in cases {
      var result: UInt16 = 0
      unsafe lodge_halves_from_floats_portable([float], &result, 1)
      #expect(result == expected, "\(float)")
    }
  }

  @Test(arguments: [0, 1, 3, 8, 17, 1000]) func fixedPointIsTheRoundedProduct(count: Int) {
    var random = SplitMix(12)
    let source = (0..<count).map { _ in Float.random(in: -3...3, using: &random) }
    let columns = (0..<count).map { _ in Float.random(in: -2...2, using: &random) }
    var words = [UInt64](repeating: 0, count: count)
    for (factor, scale) in [(1.0, 65536.0), (0.176776695, 0x1p30), (1, 0x1p-3)] {
      for isScaled in [false, true] {
        let range =
          isScaled
          ? unsafe lodge_fixed_from_floats(source, columns, factor, scale, &words, count)
          : unsafe lodge_fixed_from_floats(source, nil, factor, scale, &words, count)
        let expected = source.indices.map { index in
          let product = Double(source[index]) * (isScaled ? Double(columns[index]) : 1)
          return Int64((product * factor * scale).rounded(.toNearestOrEven))
        }
        #expect(words == expected.map { UInt64(bitPattern: $0) })
        #expect(range.is_large == 0)
        let used = expected.reduce(UInt64(0)) { $0 | UInt64(bitPattern: $1 ^ $1 >> 63) }
        #expect(range.used_bits == used)
      }
    }
  }

  @Test func fixedPointTellsOfLargeValues() {
    var words = [UInt64](repeating: 0, count: 9)
    for (value, isLarge) in [(0x1p50, false), (0x1p51, true), (-0x1p51, true)] as [(Float, Bool)] {
      for place in 0..<9 {
        var source = [Float](repeating: 1, count: 9)
        source[place] = value
        let range = unsafe lodge_fixed_from_floats(source, nil, 1, 1, &words, 9)
        #expect((range.is_large != 0) == isLarge)
      }
    }
    // Ties to even.
    let ties: [Float] = [0.5, 1.5, 2.5, -0.5, -1.5]
    _ = unsafe lodge_fixed_from_floats(ties, nil, 1, 1, &words, 5)
    #expect(words.prefix(5).map { Int64(bitPattern: $0) } == [0, 2, 2, 0, -2])
  }
}
