// Every arm of the matrix products against a plain loop, at odd shapes and strides.

import Rings
import TestSupport
import Testing

private struct Shape: CustomTestStringConvertible {
  var rows: Int
  var columns: Int
  var inner: Int
  var testDescription: String { "\(rows) x \(columns) x \(inner)" }
}

/// Row and column counts around the register tiles of every arm, inner lengths around the lanes.
private let shapes: [Shape] = {
  var result: [Shape] = []
  for rows in [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 17] {
    for columns in [0, 1, 3, 4, 7, 8, 9, 23, 24, 25, 33] {
      for inner in [0, 1, 3, 4, 5, 7, 8, 9, 17] {
        result.append(Shape(rows: rows, columns: columns, inner: inner))
      }
    }
  }
  // Beyond the cache blocks (512 inner elements, 96 columns), and beyond the parallel threshold.
  for (rows, columns, inner) in [
    (1, 197, 1025), (5, 97, 512), (6, 101, 513), (13, 193, 1031), (1, 2049, 600), (3, 1999, 401),
    (131, 77, 141), (64, 200, 600),
  ] {
    result.append(Shape(rows: rows, columns: columns, inner: inner))
  }
  return result
}()

@Suite struct MatrixProductTests {
  /// Fails unless the product equals the plain loop and leaves the gaps between rows alone.
  private func check(
    _ shape: Shape, arm: KernelArm, isTransposed: Bool, accumulate: Bool, gap: Int,
    _ random: inout SplitMix
  ) -> Bool {
    let (rows, columns, inner) = (shape.rows, shape.columns, shape.inner)
    let (aStride, cStride) = (inner + gap, columns + gap)
    let bStride = (isTransposed ? inner : columns) + gap
    let a = random.words(rows * aStride)
    let b = random.words((isTransposed ? columns : inner) * bStride)
    let start = random.words(rows * cStride)
    var expected = start
    for i in 0..<rows {
      for j in 0..<columns {
        var sum: UInt64 = accumulate ? start[i * cStride + j] : 0
        for p in 0..<inner {
          sum &+= a[i * aStride + p] &* (isTransposed ? b[j * bStride + p] : b[p * bStride + j])
        }
        expected[i * cStride + j] = sum
      }
    }
    for parallel in [false, true] {
      var c = start
      var span = c.mutableSpan
      if isTransposed {
        RingMatrixProduct.multiplyTransposed(
          rows: rows, columns: columns, inner: inner, a.span, aStride: aStride, b.span,
          bStride: bStride, into: &span, cStride: cStride, accumulate: accumulate,
          parallel: parallel, arm: arm)
      } else {
        RingMatrixProduct.multiply(
          rows: rows, columns: columns, inner: inner, a.span, aStride: aStride, b.span,
          bStride: bStride, into: &span, cStride: cStride, accumulate: accumulate,
          parallel: parallel, arm: arm)
      }
      if c != expected { return false }
    }
    return true
  }

  @Test(arguments: KernelArm.available, [false, true])
  func equalsThePlainLoop(arm: KernelArm, isTransposed: Bool) {
    var random = SplitMix(UInt64(arm.rawValue) * 2 + (isTransposed ? 1 : 0))
    for shape in shapes {
      for (accumulate, gap) in [(false, 0), (true, 3)] {
        #expect(
          check(
            shape, arm: arm, isTransposed: isTransposed, accumulate: accumulate, gap: gap, &random),
          "\(shape.testDescription), accumulate \(accumulate), gap \(gap)")
      }
    }
  }

  @Test func portableComesFirstAndTheBestLast() {
    #expect(KernelArm.available.first == .portable)
    #expect(KernelArm.available.last == KernelArm.best)
    #expect(KernelArm.available == KernelArm.available.sorted())
  }

  /// The last row may end with its span: no element beyond the matrix is asked for.
  @Test func theLastRowNeedsNoGap() {
    let a = [UInt64](1...5)
    let b = [UInt64](1...7)
    var c = [UInt64](repeating: 9, count: 5)
    var span = c.mutableSpan
    // a = [[1, 2], [4, 5]], b = [[1, 2], [6, 7]], c in rows of stride 3.
    RingMatrixProduct.multiplyTransposed(
      rows: 2, columns: 2, inner: 2, a.span, aStride: 3, b.span, bStride: 5, into: &span,
      cStride: 3)
    #expect(c == [5, 20, 9, 14, 59])
  }

  @Test func matricesLargerThanTheirSpanTrap() async {
    await #expect(processExitsWith: .failure) {
      let a = [UInt64](repeating: 1, count: 5)
      var c = [UInt64](repeating: 0, count: 4)
      var span = c.mutableSpan
      RingMatrixProduct.multiply(
        rows: 2, columns: 2, inner: 3, a.span, aStride: 3, a.span, bStride: 2, into: &span,
        cStride: 2)
    }
    await #expect(processExitsWith: .failure) {
      let a = [UInt64](repeating: 1, count: 6)
      var c = [UInt64](repeating: 0, count: 3)
      var span = c.mutableSpan
      RingMatrixProduct.multiply(
        rows: 2, columns: 2, inner: 3, a.span, aStride: 3, a.span, bStride: 2, into: &span,
        cStride: 2)
    }
  }
}
