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
      let betas = words(alphas.count * (layout.payload + layout.gammaCount))
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
      party: Int, places: [UInt64], _ tables: PointTables, parallel: Bool = false,
      arm: KernelArm = .best
    ) -> [UInt64] {
      var result = [UInt64](repeating: 0xaa, count: places.count * tables.sumCount)
      var span = result.mutableSpan
      let roots = roots[party]
      unsafe function.sum(
        party: party, keys: keys.span.bytes, roots: roots.span, places: places.span,
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

  /// Windows of every kind for `bits` bits: all cells, one, and those of functions.
  static func windows(_ bits: Int) -> [Range<Int>] {
    let half = 1 << (bits - 1)
    return [-half..<half, 0..<1, -half..<1 - half, half - 1..<half, -half / 4..<half / 4 + 1]
      .filter { !$0.isEmpty }
  }

  /// Every alpha, cell by cell, with tables of random numbers for every word of the payload, and lines
  /// for one sum or several.
  @Test(arguments: 1...7, [(1, 1), (2, 1), (3, 1), (4, 2), (6, 3), (9, 3)])
  func everyAlphaAndPoint(bits: Int, sizes: (payload: Int, lines: Int)) {
    let payload = sizes.payload
    let size = 1 << bits
    let cellBits = 3
    var random = SplitMix(UInt64(100 * bits + payload))
    let tables = (0..<payload + 1).map { table in
      (word: min(table, payload - 1), values: (0..<size).map { _ in random.next() })
    }
    // All pairs of an alpha and a cell.
    let alphas = (0..<size * size).map { UInt64($0 / size) }
    let places = (0..<size * size).map { UInt64($0 % size) << 3 | random.next() >> 61 }
    for (wordByteCount, range) in zip([1, 3, 7, 8, 8], Self.windows(bits)) {
      let window = PointWindow(range, bits: bits)
      let layout = PointKeyLayout(
        bits: bits, payload: payload, wordByteCount: wordByteCount, middleLevels: window.levels,
        lineCount: sizes.lines)
      let turned = PointTables(tables, layout: layout, window: window, cellBits: cellBits)
      let word = UInt64.max >> UInt64(64 - 8 * wordByteCount)
      for arm in KernelArm.available {
        let fixture = Fixture(layout, alphas: alphas, seed: 7, arm: arm)
        let sums = (0...1).map {
          fixture.sums(party: $0, places: places, turned, arm: arm)
        }
        var expected: [UInt64] = []
        for (key, alpha) in alphas.enumerated() {
          let stride = payload + layout.gammaCount
          let words = fixture.betas[key * stride..<(key + 1) * stride]
          func number(_ index: Int) -> UInt64 { words[words.startIndex + index] }
          let cell = Int(places[key] >> UInt64(cellBits))
          let place = window.place(of: Int(alpha), cell: cell)
          for table in tables {
            let value = table.values[(cell - Int(alpha)) & (size - 1)]
            if case .inside = place {
              expected.append(number(table.word) &* value & word)
            } else {
              expected.append(0)
            }
          }
          for pair in 0..<layout.gammaCount / 2 {
            let first = payload + 2 * pair
            func line(_ distance: Int) -> [UInt64] {
              let lifted = (distance + Int(alpha)) << cellBits + Int(places[key] & 7)
              let total = number(first) &* UInt64(bitPattern: Int64(lifted)) &- number(first + 1)
              return [total & word, number(first) & word]
            }
            switch place {
            case .inside: expected += [0, 0, 0, 0]
            case .left(let distance): expected += line(distance) + [0, 0]
            case .right(let distance): expected += [0, 0] + line(distance)
            }
          }
        }
        #expect(
          zip(sums[0], sums[1]).map { ($0 &+ $1) & word } == expected,
          "\(wordByteCount) bytes a word, \(range), \(arm)")
      }
    }
  }

  /// Cells of the window are taken one by one; others are on the side where they are, the lowest
  /// but for less than a group included.
  @Test(arguments: 1...10) func windowsHoldTheirCells(bits: Int) {
    let (size, half) = (1 << bits, 1 << (bits - 1))
    for range in Self.windows(bits) {
      let window = PointWindow(range, bits: bits)
      let first = window.firstLeft ?? -half
      if let level = window.levels.first {
        #expect(first <= range.lowerBound && first < -half + 2 << (bits - level))
      }
      for cell in 0..<size {
        for distance in max(first, -half)..<half {
          switch window.place(of: (cell - distance) & (size - 1), cell: cell) {
          case .inside(let number): #expect(number == distance)
          case .left(let number): #expect(number == distance && number < range.lowerBound)
          case .right(let number): #expect(number == distance && number >= range.upperBound)
          }
        }
      }
    }
  }

  /// Around the number of instances in step and of the parallel pieces, and as many bits as there
  /// may be.
  @Test(arguments: [0, 1, 15, 16, 17, 33, 127, 129, 300]) func armsAndThreadsAgree(count: Int) {
    for (bits, payload, wordByteCount) in [(12, 1, 8), (7, 3, 7), (9, 2, 5), (8, 9, 8)] {
      let window = PointWindow(bits == 12 ? -2048..<2048 : bits == 9 ? 0..<1 : -9..<13, bits: bits)
      let layout = PointKeyLayout(
        bits: bits, payload: payload, wordByteCount: wordByteCount, middleLevels: window.levels,
        lineCount: payload == 9 ? 3 : 1)
      let number = bits == 12 ? min(count, 33) : count
      var random = SplitMix(3)
      let alphas = (0..<number).map { _ in random.next() >> UInt64(64 - bits) }
      let places = (0..<number).map { _ in random.next() >> UInt64(64 - bits) }
      let tables = PointTables(
        (0..<payload).map { (word: $0, values: (0..<1 << bits).map { _ in random.next() }) },
        layout: layout, window: window, cellBits: 0)
      let reference = Fixture(layout, alphas: alphas, seed: 5, arm: .portable)
      for arm in KernelArm.available {
        for parallel in [false, true] {
          let fixture = Fixture(layout, alphas: alphas, seed: 5, parallel: parallel, arm: arm)
          #expect(fixture.keys == reference.keys)
          for party in 0...1 {
            #expect(
              fixture.sums(
                party: party, places: places, tables, parallel: parallel, arm: arm)
                == reference.sums(
                  party: party, places: places, tables, arm: .portable))
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
    (10, 2, 6, 2, 1 + 48 + 8 * 16), (8, 9, 8, 0, 1 + 72 + 8 * 16),
  ])
  func layoutsWeighLevels(
    bits: Int, payload: Int, wordByteCount: Int, tailBits: Int, byteCount: Int
  ) {
    let layout = PointKeyLayout(bits: bits, payload: payload, wordByteCount: wordByteCount)
    #expect(layout.tailBits == tailBits && layout.byteCount == byteCount)
    let levels = [1, 3].filter { $0 < bits }
    let withMiddle = PointKeyLayout(
      bits: bits, payload: payload, wordByteCount: wordByteCount, middleLevels: levels)
    #expect(withMiddle.depth >= levels.last ?? 0)
    if bits > 4 + tailBits {
      #expect(withMiddle.byteCount == byteCount + 2 * levels.count * wordByteCount)
      let withLines = PointKeyLayout(
        bits: bits, payload: payload, wordByteCount: wordByteCount, middleLevels: levels,
        lineCount: 3)
      #expect(withLines.byteCount == byteCount + 6 * levels.count * wordByteCount)
    }
  }

  /// The least of what all lists of levels take, which are tried one by one.
  @Test(arguments: 1...10) func levelsTakeTheLeast(bits: Int) {
    let half = 1 << (bits - 1)
    for range in Self.windows(bits) {
      func groups(_ level: Int) -> Int {
        let size = Double(1 << (bits - level))
        return min(1 << level, Int((Double(range.count - 1) / size).rounded(.up)) + 1)
      }
      var least: (weight: Int, levels: [Int])?
      for set in 0..<1 << (bits - 1) {
        let levels = (1..<bits).filter { set >> ($0 - 1) & 1 == 1 }
        guard levels.allSatisfy({ groups($0) < 1 << $0 && $0 >= min(4, bits - 1) }),
          levels.dropLast().allSatisfy({
            groups($0) << (bits - $0) <= half + range.upperBound
          })
        else { continue }
        var (weight, above, nodes) = (0, 0, 1)
        for level in levels {
          weight += nodes * (3 << (level - above) - 2) + 64
          (above, nodes) = (level, groups(level))
        }
        weight += 2 * nodes << (bits - above)
        if weight < least?.weight ?? .max { least = (weight, levels) }
      }
      let window = PointWindow(range, bits: bits)
      #expect(window.blockCount + 64 * window.levels.count == least?.weight, "\(range)")
    }
    #expect(PointWindow(0..<1, bits: 10).levels == [4, 7])
    #expect(PointWindow(-16..<16, bits: 8).levels == [4])
    #expect(PointWindow(-128..<128, bits: 8).levels.isEmpty)
  }

  /// Keys for one fixed alpha and beta look uniform byte by byte: chi-square with 255 degrees of
  /// freedom, mean 255, deviation about 22.6.
  @Test(arguments: [0, 1, 0x5a, 0x7f] as [UInt64]) func keysLookUniform(alpha: UInt64) {
    let layout = PointKeyLayout(bits: 7, payload: 3, wordByteCount: 7, middleLevels: [2, 4])
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
