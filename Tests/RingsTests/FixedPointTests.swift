// Rounding, limits and round trips of the fixed-point encoding.

import Rings
import TestSupport
import Testing

@Suite struct FixedPointTests {
  @Test func roundsToNearestTiesToEven() {
    for (x, expected) in [
      (0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (0.49, 0), (0.51, 1), (-2.51, -3),
    ] as [(Double, Int64)] {
      #expect(FixedPoint.encode(x, fractionalBits: 0) == expected)
      #expect(FixedPoint.encode(x / 65536, fractionalBits: 16) == expected)
    }
  }

  @Test func refusesWhatDoesNotFit() {
    let largest = 0x1p62.nextDown
    #expect(FixedPoint.encode(largest, fractionalBits: 0) == Int64(largest))
    #expect(FixedPoint.encode(-largest, fractionalBits: 0) == -Int64(largest))
    for x in [0x1p62, -0x1p62, .infinity, -.infinity, .nan, .greatestFiniteMagnitude] as [Double] {
      #expect(FixedPoint.encode(x, fractionalBits: 0) == nil)
      #expect(FixedPoint.encode([0, x], fractionalBits: 0) == nil)
    }
    #expect(FixedPoint.encode(0x1p46, fractionalBits: 16) == nil)
    #expect(FixedPoint.encode(0x1p46.nextDown, fractionalBits: 16) != nil)
    #expect(FixedPoint.encode([Float](repeating: 0x1p46, count: 1), fractionalBits: 16) == nil)
    #expect(FixedPoint.encode(.leastNonzeroMagnitude, fractionalBits: 62) == 0)
  }

  @Test(arguments: [0, 1, 12, 16, 32, 62]) func roundTripsWithinHalfAUnit(fractionalBits: Int)
    throws
  {
    var random = SplitMix(5)
    let unit = 1 / Double(UInt64(1) << UInt64(fractionalBits))
    let values = (0..<1000).map { _ in
      Double.random(in: -0.9...0.9, using: &random) * (fractionalBits > 40 ? 1 : 1000)
    }
    let elements = try #require(FixedPoint.encode(values, fractionalBits: fractionalBits))
    let decoded = FixedPoint.decode(elements, fractionalBits: fractionalBits)
    for (value, result) in zip(values, decoded) { #expect(abs(value - result) <= unit / 2) }
    #expect(FixedPoint.decode(elements.span, fractionalBits: fractionalBits) == decoded)
    #expect(FixedPoint.decode(UInt64.max, fractionalBits: fractionalBits) == -unit)
  }

  @Test func spansReportTheFirstValueThatDoesNotFit() {
    let values: [Float] = [1, -0.25, .nan, 4]
    var elements = [UInt64](repeating: 7, count: 4)
    var span = elements.mutableSpan
    #expect(FixedPoint.encode(values.span, fractionalBits: 2, into: &span) == 2)
    #expect(elements == [4, .max, 7, 7])
  }
}
