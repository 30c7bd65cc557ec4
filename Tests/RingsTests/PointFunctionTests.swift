// Point keys: right everywhere, equal on every arm, and silent about alpha and beta.

import Rings
import TestSupport
import Testing

@Suite struct PointFunctionTests {
  /// Keys for `alphas` with random betas and roots.
  struct Fixture {
    let function: PointFunction
    let alphas: [UInt64]
    let betas: [UInt64]
    let roots: [[UInt64]]
    let keys: [UInt8]

    init(
      _ layout: PointKeyLayout, alphas: [UInt64], seed: UInt64, parallel: Bool = false,
      arm: KernelArm = .best
    ) {
      var random = SplitMix(seed)
      func words(_ count: Int) -> [UInt64] { (0..<count).map { _ in random.next() } }
      let function = PointFunction(fixedKey: ComparisonFixture.fixedKey, layout: layout)
      let betas = words(alphas.count * layout.payload)
      let (roots0, roots1) = (words(2 * alphas.count), words(2 * alphas.count))
      var keys = [UInt8](repeating: 0xaa, count: alphas.count * layout.byteCount)
      var span = keys.mutableSpan
      function.generate(
        alphas: alphas.span, betas: betas.span, roots0: roots0.span, roots1: roots1.span,
        into: &span, parallel: parallel, arm: arm)
      self.function = function
      self.alphas = alphas
      self.betas = betas
      self.roots = [roots0, roots1]
      self.keys = keys
    }

    func sums(
      party: Int, cells: [UInt64], _ tables: PointTables, parallel: Bool = false,
      arm: KernelArm = .best
    ) -> [UInt64] {
      var result = [UInt64](repeating: 0xaa, count: cells.count * tables.count)
      var span = result.mutableSpan
      let roots = roots[party]
      unsafe function.sum(
        party: party, keys: keys.span.bytes, roots: roots.span, cells: cells.span,
        tables: tables, into: &span, parallel: parallel, arm: arm)
      return result
    }

    /// The shares of one party at `points`, [keys, pointsPerKey].
    func shares(
      party: Int, points: [UInt64], pointsPerKey: Int, parallel: Bool, arm: KernelArm
    ) -> [UInt64] {
      var result = [UInt64](repeating: 0xaa, count: points.count)
      var span = result.mutableSpan
      let roots = roots[party]
      unsafe function.evaluate(
        party: party, keys: keys.span.bytes, roots: roots.span, pointsPerKey: pointsPerKey,
        points: points.span, into: &span, parallel: parallel, arm: arm)
      return result
    }
  }

  /// Every alpha, cell by cell, with tables of random numbers for every word of the payload.
  @Test(arguments: 1...7, 1...3) func everyAlphaAndPoint(bits: Int, payload: Int) {
    let size = 1 << bits
    var random = SplitMix(UInt64(100 * bits + payload))
    let tables = (0..<payload + 1).map { table in
      (word: min(table, payload - 1), values: (0..<size).map { _ in random.next() })
    }
    for wordByteCount in [1, 3, 7, 8] {
      let layout = PointKeyLayout(bits: bits, payload: payload, wordByteCount: wordByteCount)
      let turned = PointTables(tables, layout: layout)
      let word = UInt64.max >> UInt64(64 - 8 * wordByteCount)
      // All pairs of an alpha and a cell.
      let alphas = (0..<size * size).map { UInt64($0 / size) }
      let cells = (0..<size * size).map { UInt64($0 % size) }
      for arm in KernelArm.available {
        let fixture = Fixture(layout, alphas: alphas, seed: 7, arm: arm)
        let sums = (0...1).map {
          fixture.sums(party: $0, cells: cells, turned, arm: arm)
        }
        var expected: [UInt64] = []
        for (key, alpha) in alphas.enumerated() {
          for table in tables {
            let place = Int((cells[key] &- alpha) & UInt64(size - 1))
            let beta = fixture.betas[key * payload + table.word]
            expected.append(beta &* table.values[place] & word)
          }
        }
        #expect(
          zip(sums[0], sums[1]).map { ($0 &+ $1) & word } == expected,
          "\(wordByteCount) bytes a word, \(arm)")
      }
    }
  }

  /// Around the number of instances in step and of the parallel pieces, and as many bits as there may
  /// be.
  @Test(arguments: [0, 1, 15, 16, 17, 33, 127, 129, 300]) func armsAndThreadsAgree(count: Int) {
    for (bits, payload, wordByteCount) in [(12, 1, 8), (7, 3, 7), (9, 2, 5)] {
      let layout = PointKeyLayout(bits: bits, payload: payload, wordByteCount: wordByteCount)
      let number = bits == 12 ? min(count, 33) : count
      var random = SplitMix(3)
      let alphas = (0..<number).map { _ in random.next() >> UInt64(64 - bits) }
      let cells = (0..<number).map { _ in random.next() >> UInt64(64 - bits) }
      let tables = PointTables(
        (0..<payload).map { (word: $0, values: (0..<1 << bits).map { _ in random.next() }) },
        layout: layout)
      let reference = Fixture(layout, alphas: alphas, seed: 5, arm: .portable)
      for arm in KernelArm.available {
        for parallel in [false, true] {
          let fixture = Fixture(layout, alphas: alphas, seed: 5, parallel: parallel, arm: arm)
          #expect(fixture.keys == reference.keys)
          for party in 0...1 {
            #expect(
              fixture.sums(
                party: party, cells: cells, tables, parallel: parallel, arm: arm)
                == reference.sums(
                  party: party, cells: cells, tables, arm: .portable))
          }
        }
      }
    }
  }

  /// Single points: beta at alpha and 0 elsewhere, on every arm; several of a key, in no order.
  @Test(arguments: 1...12) func singlePoints(bits: Int) {
    var random = SplitMix(UInt64(bits))
    let size = UInt64(1) << UInt64(bits)
    for (wordByteCount, pointsPerKey) in [(8, 1), (8, 5), (5, 3), (1, 7)] {
      let layout = PointKeyLayout(bits: bits, payload: 1, wordByteCount: wordByteCount)
      let word = UInt64.max >> UInt64(64 - 8 * wordByteCount)
      for count in [0, 1, 15, 16, 17, 40, 700] {
        let alphas = (0..<count).map { _ in random.next() % size }
        // Every other point is at alpha, and some have bits beyond.
        let points = (0..<count * pointsPerKey).map { point in
          point % 2 == 0
            ? alphas[point / pointsPerKey] + size * (random.next() % 3) : random.next() % size
        }
        for arm in KernelArm.available {
          let fixture = Fixture(layout, alphas: alphas, seed: 11, arm: arm)
          let shares = (0...1).map {
            fixture.shares(
              party: $0, points: points, pointsPerKey: pointsPerKey, parallel: count == 700,
              arm: arm)
          }
          let expected = points.enumerated().map { point, x in
            let key = point / pointsPerKey
            return x % size == alphas[key] ? fixture.betas[key] & word : 0
          }
          #expect(
            zip(shares[0], shares[1]).map { ($0 &+ $1) & word } == expected,
            "\(wordByteCount) bytes a word, \(count) keys, \(arm)")
        }
      }
    }
  }

  @Test(arguments: [
    (bits: 7, payload: 3, wordByteCount: 7, tailBits: 1, byteCount: 1 + 2 * 21 + 6 * 16),
    (5, 1, 8, 2, 1 + 32 + 3 * 16), (6, 1, 2, 4, 1 + 32 + 2 * 16), (1, 3, 8, 0, 1 + 24 + 16),
    (10, 2, 6, 2, 1 + 48 + 8 * 16),
  ])
  func layoutsWeighLevels(
    bits: Int, payload: Int, wordByteCount: Int, tailBits: Int, byteCount: Int
  ) {
    let layout = PointKeyLayout(bits: bits, payload: payload, wordByteCount: wordByteCount)
    #expect(layout.tailBits == tailBits && layout.byteCount == byteCount)
  }

  /// Keys for one fixed alpha and beta look uniform byte by byte: chi-square with 255 degrees of
  /// freedom, mean 255, deviation about 22.6.
  @Test(arguments: [0, 1, 0x5a, 0x7f] as [UInt64]) func keysLookUniform(alpha: UInt64) {
    let layout = PointKeyLayout(bits: 7, payload: 3, wordByteCount: 7)
    let fixture = Fixture(
      layout, alphas: [UInt64](repeating: alpha, count: 4096), seed: alpha &+ 9)
    var counts = [Double](repeating: 0, count: 256)
    for key in fixture.alphas.indices {
      // Behind the control bits.
      for byte in 1..<layout.byteCount {
        counts[Int(fixture.keys[key * layout.byteCount + byte])] += 1
      }
    }
    let expected = counts.reduce(0, +) / 256
    let chiSquare = counts.reduce(0) { $0 + ($1 - expected) * ($1 - expected) / expected }
    #expect((150...370).contains(chiSquare))
  }
}
