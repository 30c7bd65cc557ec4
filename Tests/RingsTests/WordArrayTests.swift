// Every arm of the operations on words against the formulas, at lengths around those of vectors.

import Rings
import TestSupport
import Testing

@Suite struct WordArrayTests {
  static let counts = [0, 1, 2, 3, 7, 8, 9, 15, 17, 63, 64, 65, 130]

  static func words(_ count: Int, seed: UInt64) -> [UInt64] {
    var random = SplitMix(seed)
    return (0..<count).map { _ in random.next() }
  }

  static func low(_ bits: Int) -> UInt64 { .max &>> UInt64(64 - bits) }

  @Test(arguments: KernelArm.tested)
  func maskedWords(arm: KernelArm) {
    let arrays = WordArrays(arm)
    for count in Self.counts {
      let (share, mask) = (Self.words(count, seed: 1), Self.words(count, seed: 2))
      for (ringBits, shift, bits) in [
        (64, 0, 64), (64, 22, 42), (43, 0, 43), (48, 19, 29), (2, 1, 1),
      ] {
        let expected = zip(share, mask).map {
          ((($0 & Self.low(ringBits)) &>> UInt64(shift)) &+ 1 &+ $1) & Self.low(bits)
        }
        #expect(
          arrays.masked(share, ringBits: ringBits, shift: shift, one: 1, mask: mask, bits: bits)
            == expected)
      }
    }
  }

  /// Bit j of element i is bit i * bits + j of the packed words, and there are no others.
  @Test(arguments: KernelArm.tested)
  func packedWords(arm: KernelArm) {
    let arrays = WordArrays(arm)
    for bits in 1...64 {
      for count in Self.counts {
        let words = Self.words(count, seed: UInt64(bits)).map { $0 & Self.low(bits) }
        var expected = [UInt64](repeating: 0, count: (count * bits + 63) / 64)
        for (index, word) in words.enumerated() {
          for bit in 0..<bits where word &>> UInt64(bit) & 1 == 1 {
            expected[(index * bits + bit) / 64] |= 1 &<< UInt64((index * bits + bit) % 64)
          }
        }
        var packed: [UInt64] = [7]
        arrays.pack(words, bits: bits, into: &packed)
        #expect(packed == [7] + expected)
        let others = Self.words(count, seed: 99)
        var sums = others
        arrays.add(packed: packed[1...], bits: bits, to: &sums)
        #expect(sums == zip(others, words).map { ($0 &+ $1) & Self.low(bits) })
      }
    }
  }

  @Test(arguments: KernelArm.tested)
  func views(arm: KernelArm) {
    for count in Self.counts {
      for (shift, bits) in [(1, 64), (0, 28), (22, 42), (5, 49), (0, 2)] {
        let opened = Self.words(count, seed: 3).map { $0 & Self.low(bits) }
        let view = WordArrays(arm).view(opened, shift: shift, bits: bits)
        let offset: UInt64 = 1 &<< UInt64(bits - 2)
        for (index, word) in opened.enumerated() {
          let c = (word &+ offset) & Self.low(bits)
          #expect(view.base[index] == (c &>> UInt64(shift)) &- (offset &>> UInt64(shift)))
          #expect(view.lift[index] == (1 &- (c &>> UInt64(bits - 1))) << UInt64(bits - shift))
        }
      }
    }
  }

  @Test(arguments: KernelArm.tested)
  func sumsAndMultiples(arm: KernelArm) {
    let arrays = WordArrays(arm)
    for count in Self.counts {
      let words = Self.words(count, seed: 4)
      #expect(arrays.scaled(words, by: 5, plus: 3) == words.map { 5 &* $0 &+ 3 })
      for run in [1, 2, 9, 32] {
        let start = Self.words(count * run, seed: 5)
        var sum = start
        arrays.add(words, times: .max, to: &sum)
        #expect(sum == start.indices.map { start[$0] &- words[$0 / run] })
        #expect(
          arrays.sums(start, run: run)
            == words.indices.map { start[$0 * run..<($0 + 1) * run].reduce(0, &+) })
        sum = start
        arrays.add(row: words[...], to: &sum)
        #expect(sum == start.indices.map { start[$0] &+ words[$0 % count] })
      }
    }
  }
}

@Suite struct CellSumTests {
  /// Numbers of places -1 ..< bound in turned order, four a word.
  @Test(arguments: KernelArm.tested, [2, 4, 8, 128])
  func sums(arm: KernelArm, cellCount: Int) {
    let wordCount = (cellCount + 3) / 4
    let bounds = Array(Set([1, cellCount / 2, cellCount - 1])).filter { $0 > 0 }.sorted()
    for count in [0, 1, 5, 33] {
      let words = WordArrayTests.words(count * wordCount, seed: 7)
      let cells = WordArrayTests.words(count, seed: 8).map { UInt32($0 % UInt64(cellCount)) }
      func number(_ element: Int, _ place: Int) -> UInt64 {
        let number = (place - Int(cells[element]) + 2 * cellCount) % cellCount
        return words[element * wordCount + number / 4] &>> UInt64(16 * (number % 4)) & 0xffff
      }
      let expected = bounds.flatMap { bound in
        (0..<count).map { element in
          (-1..<bound).reduce(UInt64(0)) { ($0 + number(element, $1)) & 0xffff }
        }
      }
      #expect(
        WordArrays(arm).cellSums(words, cellCount: cellCount, cells: cells, bounds: bounds)
          == expected)
    }
  }
}

@Suite struct MaskedWordTests {
  /// A value or view of which both parties have their words, with the parts that it was made of.
  struct Shared {
    var base: [UInt64]
    var lift: [UInt64]?
    /// By party and part.
    var parts: [[[UInt64]]]

    init(_ count: Int, isView: Bool, seed: UInt64) {
      base = WordArrayTests.words(count, seed: seed)
      // Most lifts are zero, as those of values that did not wrap around.
      lift = isView ? WordArrayTests.words(count, seed: seed + 1).map { $0 & 3 == 0 ? $0 : 0 } : nil
      parts = (0..<2).map { party in
        (0..<(isView ? 2 : 1)).map {
          WordArrayTests.words(count, seed: seed + 10 * UInt64(party) + UInt64($0) + 2)
        }
      }
    }

    func words(_ party: Int) -> MaskedWords {
      MaskedWords(base: base, parts: parts[party], lift: lift)
    }

    /// Part `part` of element `index`, which no party knows.
    func part(_ part: Int, _ index: Int) -> UInt64 {
      parts[0][part][index] &+ parts[1][part][index]
    }

    func value(_ index: Int) -> UInt64 {
      var value = base[index] &- part(0, index)
      if let lift { value &+= lift[index] &* part(1, index) }
      return value
    }
  }

  /// Random shares of `words`.
  static func shares(_ words: [UInt64], seed: UInt64) -> [[UInt64]] {
    let first = WordArrayTests.words(words.count, seed: seed)
    return [first, zip(words, first).map { $0 &- $1 }]
  }

  static func sum(_ shares: [[UInt64]]) -> [UInt64] { zip(shares[0], shares[1]).map { $0 &+ $1 } }

  @Test(arguments: KernelArm.tested, [false, true])
  func shares(arm: KernelArm, isView: Bool) {
    for count in WordArrayTests.counts {
      let x = Shared(count, isView: isView, seed: 20)
      let shares = (0...1).map { x.words($0).share(factor: 1 - UInt64($0), by: WordArrays(arm)) }
      #expect(Self.sum(shares) == (0..<count).map(x.value))
    }
  }

  @Test(arguments: KernelArm.tested, [1, 3, 64])
  func products(arm: KernelArm, run: Int) {
    for (left, right) in [(false, false), (false, true), (true, false), (true, true)] {
      for count in WordArrayTests.counts {
        let x = Shared(count * run, isView: left, seed: 30)
        let y = Shared(count, isView: right, seed: 60)
        var products: [[[UInt64]]] = [[], []]
        for i in x.parts[0].indices {
          for j in y.parts[0].indices {
            let product = (0..<count * run).map { x.part(i, $0) &* y.part(j, $0 / run) }
            let shares = Self.shares(product, seed: UInt64(90 + 2 * i + j))
            for party in 0...1 { products[party].append(shares[party]) }
          }
        }
        let results = (0...1).map {
          x.words($0).multiplied(
            by: y.words($0), products: products[$0], factor: 1 - UInt64($0), by: WordArrays(arm))
        }
        #expect(Self.sum(results) == (0..<count * run).map { x.value($0) &* y.value($0 / run) })
      }
    }
  }

  @Test(arguments: KernelArm.tested, [1, 2, 3, 4, 5, 6, 9])
  func polynomials(arm: KernelArm, coefficientCount: Int) {
    let degree = max(coefficientCount - 1, 1)
    let coefficients = WordArrayTests.words(coefficientCount, seed: 5)
    func power(_ word: UInt64, _ exponent: Int) -> UInt64 {
      (0..<exponent).reduce(1) { product, _ in product &* word }
    }
    for isView in [false, true] {
      for count in [0, 1, 8, 9, 65] {
        let x = Shared(count, isView: isView, seed: 40)
        var powers: [[[UInt64]]] = [[], []]
        var topPowers: [[[UInt64]]] = [[], []]
        for exponent in 2..<degree + 1 {
          let shares = Self.shares(
            (0..<count).map { power(x.part(0, $0), exponent) }, seed: UInt64(exponent))
          for party in 0...1 { powers[party].append(shares[party]) }
        }
        // h is a bit: that is what makes one power of it enough.
        var bits = x
        if isView {
          bits.parts[0][1] = (0..<count).map { UInt64($0 % 2) &- x.parts[1][1][$0] }
          for exponent in 1..<degree {
            let shares = Self.shares(
              (0..<count).map { bits.part(1, $0) &* power(bits.part(0, $0), exponent) },
              seed: UInt64(exponent + 20))
            for party in 0...1 { topPowers[party].append(shares[party]) }
          }
        }
        let results = (0...1).map {
          bits.words($0).polynomial(
            coefficients, powers: powers[$0][...], topPowers: topPowers[$0][...],
            factor: 1 - UInt64($0), by: WordArrays(arm))
        }
        let expected = (0..<count).map { index in
          coefficients.reversed().reduce(0) { $0 &* bits.value(index) &+ $1 }
        }
        #expect(Self.sum(results) == expected)
      }
    }
  }

  /// Sum over the knots of the step times the bit, from shares of the bits' other half and of its
  /// products with the mask parts.
  @Test(arguments: KernelArm.tested, [1, 2, 3, 40])
  func steps(arm: KernelArm, knotCount: Int) {
    let levels = 9
    for isView in [false, true] {
      for (count, outputs) in [(1, 1), (9, 1), (20, 2)] {
        let y = Shared(count, isView: isView, seed: 70)
        let steps = PieceSteps(
          slopes: (0..<outputs).map { WordArrayTests.words(knotCount, seed: UInt64($0)) },
          intercepts: (0..<outputs).map { WordArrayTests.words(knotCount, seed: UInt64($0) + 9) })
        let windows = WordArrayTests.words(count * knotCount, seed: 71).map { $0 & 1023 }
        let h = WordArrayTests.words(count, seed: 72).map { $0 & 1 }
        let c = WordArrayTests.words(count * knotCount, seed: 73).map { $0 & 1 }
        let partCount = isView ? 2 : 1
        // 1 and the mask parts, by part and element.
        let factors = (0...partCount).map { part in
          (0..<count).map { part == 0 ? 1 : y.part(part - 1, $0) }
        }
        let correlated = factors.map { Self.shares(zip(h, $0).map(&*), seed: 74) }
        let shares = Self.shares(
          c.indices.flatMap { index in
            factors.map { (c[index] &- h[index / knotCount]) &* $0[index / knotCount] }
          }, seed: 75)
        // All but the first element, as a piece of them.
        let first = count / 3
        let elements = first..<count
        let pieceWindows = Array(windows[(first * knotCount)...])
        let results = (0...1).map { party in
          let pieceShares = Array(shares[party][(first * knotCount * (partCount + 1))...])
          var sums = [UInt64](repeating: 0, count: elements.count * outputs)
          var span = sums.mutableSpan
          y.words(party).stepSums(
            steps, of: elements, windows: pieceWindows.span, levels: levels,
            shares: pieceShares.span, correlated: correlated.map { $0[party] },
            factor: 1 - UInt64(party), into: &span,
            by: WordArrays(arm))
          return sums
        }
        let expected = elements.flatMap { element in
          (0..<outputs).map { output in
            (0..<knotCount).reduce(UInt64(0)) { sum, knot in
              let index = element * knotCount + knot
              let bit = (windows[index] &>> UInt64(levels)) ^ c[index]
              let step = output * knotCount + knot
              return sum &+ bit
                &* (steps.slopes[step] &* y.value(element) &+ steps.intercepts[step])
            }
          }
        }
        #expect(Self.sum(results) == expected)
      }
    }
  }
}
