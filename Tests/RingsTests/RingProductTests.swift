// Every arm of the ring products against a plain loop: shapes, widths, promises, layouts, threads.

import Foundation
import Randomness
import Rings
import Synchronization
import TestSupport
import Testing

/// One product with everything that can differ; `description` reproduces it.
private struct Case: CustomStringConvertible {
  var rows: Int
  var columns: Int
  var inner: Int
  var bitsA: Int
  var bitsB: Int
  var isTransposedA = false
  var isTransposedB = false
  var isProducedA = false
  var isProducedB = false
  var gap = 0
  var accumulate = false

  init(_ rows: Int, _ columns: Int, _ inner: Int, bitsA: Int = 64, bitsB: Int = 64) {
    (self.rows, self.columns, self.inner) = (rows, columns, inner)
    (self.bitsA, self.bitsB) = (bitsA, bitsB)
  }

  /// Counts around the tiles of every arm, and now and then beyond the blocks of the inner
  /// dimension.
  init<Element: RingElement>(random: inout SplitMix, _: Element.Type) {
    let edges = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 49, 65]
    let widths = [8, 16, 24, 32, 64].filter { $0 <= Element.bitWidth }
    func pick<T>(_ values: [T]) -> T { values[Int(random.next() % UInt64(values.count))] }
    self.init(
      pick(edges), pick(edges), pick(edges + [63, 64, 127, 511, 513, 600]), bitsA: pick(widths),
      bitsB: pick(widths))
    let word = random.next()
    isTransposedA = word & 1 != 0
    isTransposedB = word & 2 != 0
    isProducedA = word & 12 == 0
    isProducedB = word & 48 == 0
    gap = Int(word >> 6 & 3)
    accumulate = word & 256 != 0
  }

  var description: String {
    "\(rows) x \(inner) x \(columns), bits \(bitsA) and \(bitsB), transposed \(isTransposedA) "
      + "\(isTransposedB), produced \(isProducedA) \(isProducedB), gap \(gap), "
      + "accumulate \(accumulate)"
  }
}

/// A matrix in an array, with gaps between its rows.
private struct Stored<Element: RingElement> {
  var words: [Element]
  let rows: Int
  let columns: Int
  let stride: Int
  let isTransposed: Bool

  /// A random matrix [rows, columns], stored as its transpose where `isTransposed`.
  init(rows: Int, columns: Int, bits: Int, isTransposed: Bool, gap: Int, _ random: inout SplitMix) {
    (self.rows, self.columns) = isTransposed ? (columns, rows) : (rows, columns)
    stride = self.columns + gap
    self.isTransposed = isTransposed
    // All of one extreme, random words, or words of which many are extreme.
    let kind = random.next() % 4
    words = random.words(self.rows * stride).map { word in
      let word: UInt64 = kind == 0 ? .max : kind == 1 ? 1 << 63 : word
      return Element(truncatingIfNeeded: Int64(bitPattern: word) >> Int64(64 - bits))
    }
  }

  subscript(row: Int, column: Int) -> Element {
    isTransposed ? words[column * stride + row] : words[row * stride + column]
  }

  func operand(bits: Int, isProduced: Bool) -> RingOperand<Element> {
    let (words, stride) = (words, stride)
    let result =
      isProduced
      ? RingOperand(rows: rows, columns: columns, bits: bits) { block, span in
        var index = 0
        for row in block.rows {
          for column in block.columns {
            span[index] = words[row * stride + column]
            index += 1
          }
        }
      }
      : RingOperand(words, rows: rows, columns: columns, stride: stride, bits: bits)
    return isTransposed ? result.transposed : result
  }
}

/// How often each element was made, counted from any thread.
private final class Counts: Sendable {
  private let counts: Mutex<[Int]>

  init(_ count: Int) { counts = Mutex([Int](repeating: 0, count: count)) }

  func add(_ index: Int) { counts.withLock { $0[index] += 1 } }

  var values: [Int] { counts.withLock { $0 } }
}

@Suite struct RingProductTests {
  /// Fails unless the product equals the plain loop and leaves the gaps between rows alone, on one
  /// thread and on several.
  private func check<Element: RingElement>(
    _ it: Case, _: Element.Type, arms: [KernelArm], _ random: inout SplitMix
  ) {
    let a = Stored<Element>(
      rows: it.rows, columns: it.inner, bits: it.bitsA, isTransposed: it.isTransposedA, gap: it.gap,
      &random)
    let b = Stored<Element>(
      rows: it.inner, columns: it.columns, bits: it.bitsB, isTransposed: it.isTransposedB,
      gap: it.gap, &random)
    let stride = it.columns + it.gap
    let start = random.words(it.rows * stride).map { Element(truncatingIfNeeded: $0) }
    var expected = start
    for i in 0..<it.rows {
      for j in 0..<it.columns {
        var sum: Element = it.accumulate ? start[i * stride + j] : 0
        for p in 0..<it.inner { sum &+= a[i, p] &* b[p, j] }
        expected[i * stride + j] = sum
      }
    }
    for arm in arms {
      for parallel in [false, true] {
        var c = start
        var span = c.mutableSpan
        RingProduct.multiply(
          a.operand(bits: it.bitsA, isProduced: it.isProducedA),
          b.operand(bits: it.bitsB, isProduced: it.isProducedB), into: &span, stride: stride,
          accumulate: it.accumulate, parallel: parallel, arm: arm)
        #expect(
          c == expected, "\(arm) mod 2^\(Element.bitWidth), \(it), parallel \(parallel)")
      }
    }
  }

  /// Random shapes and layouts from a printed seed; `LODGE_PRODUCT_SEED` replaces it.
  @Test(arguments: [1, 2, 3, 4] as [UInt64]) func armsEqualThePlainLoop(number: UInt64) {
    let given = ProcessInfo.processInfo.environment["LODGE_PRODUCT_SEED"].flatMap(UInt64.init)
    let seed = given ?? 20_260_101
    print("ring products: LODGE_PRODUCT_SEED=\(seed), part \(number)")
    var random = SplitMix(seed &+ number)
    for _ in 0..<150 {
      check(Case(random: &random, UInt64.self), UInt64.self, arms: KernelArm.tested, &random)
      check(Case(random: &random, UInt32.self), UInt32.self, arms: KernelArm.tested, &random)
    }
  }

  /// Zero and odd shapes all over: no rows, no columns, nothing to sum, one of each.
  @Test func smallShapes() {
    var random = SplitMix(5)
    for rows in [0, 1, 2, 5, 9] {
      for columns in [0, 1, 3, 8, 25] {
        for inner in [0, 1, 3, 8, 17] {
          for isTransposed in [false, true] {
            var it = Case(rows, columns, inner)
            it.isTransposedB = isTransposed
            it.accumulate = inner % 2 == 1
            it.gap = rows % 2
            check(it, UInt64.self, arms: KernelArm.tested, &random)
            (it.bitsA, it.bitsB) = (32, 32)
            check(it, UInt32.self, arms: KernelArm.tested, &random)
          }
        }
      }
    }
  }

  /// Beyond the blocks of columns and rows, and beyond the threshold of the parallel pieces; few rows
  /// with columns in order, and with more depth than is cached of them.
  @Test func largeShapes() {
    var random = SplitMix(6)
    for (rows, columns, inner) in [
      (1, 2049, 600), (2049, 1, 600), (3, 1999, 401), (131, 277, 141), (64, 200, 600),
      (300, 40, 1030), (2, 517, 43), (4, 1030, 75), (16, 600, 34), (9, 70, 4100),
    ] {
      for isTransposed in [false, true] {
        for producedB in [false, true] {
          var it = Case(rows, columns, inner)
          it.isTransposedB = isTransposed
          it.isProducedB = producedB
          it.isProducedA = producedB && rows == 131
          check(it, UInt64.self, arms: KernelArm.available, &random)
        }
      }
    }
  }

  /// More columns than a block of the tiled arm has, and the largest sums of limbs.
  @Test func largeShapesOnModelledTiles() {
    var random = SplitMix(7)
    for (bitsA, bitsB) in [(64, 64), (64, 16), (8, 64)] {
      check(
        Case(40, 290, 600, bitsA: bitsA, bitsB: bitsB), UInt64.self, arms: [.amxModel], &random)
    }
    check(Case(520, 33, 70, bitsA: 32, bitsB: 32), UInt32.self, arms: [.amxModel], &random)
  }

  /// The left factor is a mask of the whole ring that is expanded from its seed tile by tile.
  @Test func masksAreExpandedWhereTheyAreMultiplied() {
    let (rows, columns, inner) = (150, 40, 700)
    let stream = RandomStream(
      seed: Seed(bytes: [UInt8](0..<32)),
      label: StreamLabel(session: 0, party: 1, operation: 2, kind: 3, index: 4))
    var random = SplitMix(8)
    let b = RingOperand(random.words(inner * columns), rows: inner, columns: columns)
    let whole = RingOperand(stream.words(at: 0, count: rows * inner), rows: rows, columns: inner)
    let produced = RingOperand<UInt64>(rows: rows, columns: inner) { block, span in
      stream.fill(&span, rows: block.rows, columns: block.columns, rowStride: inner)
    }
    #expect(RingProduct.product(produced, b) == RingProduct.product(whole, b))
    #expect(
      RingProduct.product(b.transposed, produced.transposed)
        == RingProduct.product(b.transposed, whole.transposed))
  }

  /// No element of a produced factor is made twice when the other is in memory.
  @Test(arguments: [false, true]) func producedOnce(isLeft: Bool) {
    let (rows, columns) = (700, 530)
    let counts = Counts(rows * columns)
    let made = RingOperand<UInt64>(rows: rows, columns: columns) { block, span in
      for row in block.rows {
        for column in block.columns {
          let index = row * columns + column
          counts.add(index)
          span[
            (row - block.rows.lowerBound) * block.columns.count + column
              - block.columns.lowerBound] = UInt64(index)
        }
      }
    }
    let side = isLeft ? columns : rows
    let other = RingOperand([UInt64](repeating: 3, count: 300 * side), rows: 300, columns: side)
    let result =
      isLeft
      ? RingProduct.product(made, other.transposed) : RingProduct.product(other, made)
    #expect(counts.values.allSatisfy { $0 == 1 })
    let last = (0..<side).reduce(UInt64(0)) { sum, p in
      sum + 3 * UInt64(isLeft ? (rows - 1) * columns + p : p * columns + columns - 1)
    }
    #expect(result.last == last)
  }

  @Test func portableComesFirstAndTheBestLast() {
    #expect(KernelArm.available.first == .portable)
    #expect(KernelArm.available.last == KernelArm.best)
    #expect(KernelArm.available == KernelArm.available.sorted())
    #expect(!KernelArm.available.contains(.amxModel))
  }

  /// The last row may end with its words: no element beyond the matrix is asked for.
  @Test func theLastRowNeedsNoGap() {
    let a = RingOperand([UInt64](1...5), rows: 2, columns: 2, stride: 3)
    let b = RingOperand([UInt64](1...7), rows: 2, columns: 2, stride: 5)
    var c = [UInt64](repeating: 9, count: 5)
    var span = c.mutableSpan
    // a = [[1, 2], [4, 5]], b = [[1, 2], [6, 7]], c in rows of stride 3.
    RingProduct.multiply(a, b.transposed, into: &span, stride: 3)
    #expect(c == [5, 20, 9, 14, 59])
  }

  @Test func matricesLargerThanTheirWordsTrap() async {
    await #expect(processExitsWith: .failure) {
      _ = RingOperand([UInt64](repeating: 1, count: 5), rows: 2, columns: 3)
    }
    await #expect(processExitsWith: .failure) {
      let a = RingOperand([UInt64](repeating: 1, count: 6), rows: 2, columns: 3)
      var c = [UInt64](repeating: 0, count: 3)
      var span = c.mutableSpan
      RingProduct.multiply(a, a.transposed, into: &span, stride: 2)
    }
  }
}
