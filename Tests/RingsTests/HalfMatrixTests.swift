// Products with matrices of small integers: those with the same ring elements, on every arm.

import Rings
import TestSupport
import Testing

@Suite struct HalfMatrixTests {
  @Test(arguments: [(1, 1), (5, 7), (129, 300), (1000, 64), (3, 40_000), (700, 600)])
  func productsAreThoseOfWords(rows: Int, columns: Int) {
    var random = SplitMix(UInt64(rows * columns))
    let extreme: [Int16] = [.min, .max, -1, 0, 1]
    let elements = random.words(rows * columns).enumerated().map { index, word in
      index < extreme.count ? extreme[index] : Int16(truncatingIfNeeded: word)
    }
    let matrix = HalfMatrix(elements, rows: rows, columns: columns)
    let wide = elements.map { UInt64(bitPattern: Int64($0)) }
    #expect(matrix.words == wide)
    for count in [1, 2, 3, 4, 9] {
      let left = random.words(count * rows)
      let right = random.words(count * columns)
      let expected = RingProduct.product(
        RingOperand(left, rows: count, columns: rows),
        RingOperand(wide, rows: rows, columns: columns))
      let expectedTransposed = RingProduct.product(
        RingOperand(right, rows: count, columns: columns),
        RingOperand(wide, rows: rows, columns: columns).transposed)
      for arm in KernelArm.tested {
        #expect(matrix.times(left, arm: arm) == expected, "\(arm) \(count)")
        #expect(
          matrix.timesTransposed(right, arm: arm) == expectedTransposed, "\(arm) \(count)")
      }
    }
  }
}
