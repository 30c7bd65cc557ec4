// Point functions: keys for x = alpha, evaluated at all points and summed over tables.

internal import CRingKernels

/// What decides the bytes of a point key: f(x) = beta if x = alpha, else 0, for x and alpha of
/// `bits` bits and beta a vector of `payload` numbers modulo 2^(8 wordByteCount).
///
/// A key has ceil(d / 8) + 2^t v + g m w + 16 d bytes with w = wordByteCount, v = payload w and m
/// the number of `middleLevels`: its tree has d = bits - t levels, and its last nodes a value for
/// each of the 2^t points below. Those of middle levels have one as well, g = `gammaCount` numbers
/// gamma on the way to alpha.
public struct PointKeyLayout: Hashable, Sendable {
  /// Bits of x and alpha, 1 to 12; higher bits are ignored.
  public let bits: Int
  /// Numbers in beta, 1 to 9.
  public let payload: Int
  /// Bytes of each of them, 1 to 8.
  public let wordByteCount: Int
  /// Levels of 1 to bits - 1 whose nodes are groups of points, ascending: of keys whose outputs are
  /// summed.
  public let middleLevels: [Int]
  /// How many sums middle levels give lines to, 1 to 3: gamma has two numbers for each.
  public let lineCount: Int
  /// t: of 0 to min(bits - 1, 6), and at most what leaves the last middle level, that with the
  /// least 2^t v + 24 d, the largest of such: many nodes are visited, and a level takes time
  /// besides its bytes.
  public let tailBits: Int

  public static let bitRange = 1...12

  public init(
    bits: Int, payload: Int, wordByteCount: Int = 8, middleLevels: [Int] = [], lineCount: Int = 1
  ) {
    precondition(PointKeyLayout.bitRange.contains(bits), "1 to 12 bits")
    precondition((1...9).contains(payload), "a payload of 1 to 9 ring elements")
    precondition((1...3).contains(lineCount), "lines of one to three sums")
    precondition((1...8).contains(wordByteCount), "1 to 8 bytes a ring element")
    precondition(
      middleLevels.allSatisfy { (1..<bits).contains($0) }
        && zip(middleLevels, middleLevels.dropFirst()).allSatisfy { $0 < $1 },
      "ascending levels of the tree")
    self.bits = bits
    self.payload = payload
    self.wordByteCount = wordByteCount
    self.middleLevels = middleLevels
    self.lineCount = lineCount
    func weight(_ tailBits: Int) -> Int {
      (payload * wordByteCount) << tailBits + 24 * (bits - tailBits)
    }
    let most = min(bits - (middleLevels.last ?? 1), 6)
    tailBits = (0...max(most, 0)).reduce(0) { weight($1) <= weight($0) ? $1 : $0 }
  }

  /// Levels of the tree, each with a seed correction.
  public var depth: Int { bits - tailBits }

  public var byteCount: Int {
    (depth + 7) / 8 + (payload * wordByteCount) << tailBits
      + gammaCount * middleLevels.count * wordByteCount + 16 * depth
  }

  /// Numbers in gamma.
  public var gammaCount: Int { middleLevels.isEmpty ? 0 : 2 * lineCount }
}

/// Which points are taken one by one: those whose distance i from a public cell, cell - x as a
/// signed number, is in a range, and those in groups with them. All other groups are left (smaller
/// i) or right.
public struct PointWindow: Hashable, Sendable {
  /// Bits of points.
  public let bits: Int
  /// i of the points that are taken one by one.
  public let distances: Range<Int>
  /// The levels whose nodes are groups, ascending: those for which AES is called the least, and 64
  /// times for a level's bytes; ends as early as may be, and goes on to the first level of equals.
  ///
  /// With E(l) = min(2^l, ceil((n - 1) / 2^(bits - l)) + 1) groups that hold n points wherever they
  /// begin, the nodes between levels a and b take E(a) (3 2^(b - a) - 2) calls, and those below the
  /// last level, or the root, 2 E(a) 2^(bits - a). A level is at least min(4, bits - 1), has E(l) <
  /// 2^l, and others behind it where its groups are no more points than are before i leaves its
  /// signed range.
  public let levels: [Int]
  /// AES calls of one party for a key.
  public let blockCount: Int
  /// Groups of the first level from the first of these that are taken up to here are no right ones.
  public let leftEnd: Int

  private static let blocksPerLevel = 64
  /// Larger groups would leave the last of them to neither side.
  private static let firstLevel = 4

  /// - Parameter levels: Others than the best.
  public init(_ distances: Range<Int>, bits: Int, levels others: [Int]? = nil) {
    let half = 1 << (bits - 1)
    precondition(
      distances.lowerBound >= -half && distances.upperBound <= half && !distances.isEmpty,
      "distances are signed numbers of `bits` bits")
    self.bits = bits
    self.distances = distances
    let counts = (0...bits).map { PointWindow.groupCount(distances.count, level: $0, bits: bits) }
    // From every level on, the root included, the levels that follow and what they and the rest
    // take.
    var best: [(weight: Int, blocks: Int, levels: [Int])] = []
    for above in (0..<bits).reversed() {
      let rest = 2 * counts[above] << (bits - above)
      var found = (weight: rest, blocks: rest, levels: [Int]())
      let goesOn =
        above == 0 || counts[above] << (bits - above) <= half + distances.upperBound
      let next = max(above + 1, min(PointWindow.firstLevel, bits - 1))
      for level in next..<bits where goesOn && counts[level] < 1 << level {
        let further = best[best.count - (level - above)]
        let blocks = counts[above] * (3 << (level - above) - 2)
        let weight = blocks + PointWindow.blocksPerLevel + further.weight
        if weight < found.weight {
          found = (weight, blocks + further.blocks, [level] + further.levels)
        }
      }
      best.append(found)
    }
    levels = others ?? best[best.count - 1].levels
    blockCount = best[best.count - 1].blocks
    let first = levels.first ?? 0
    leftEnd = min(
      1 << first, max(counts[first], (half + distances.upperBound) >> (bits - first)))
  }

  /// How many groups of a level hold `count` points, wherever they begin.
  private static func groupCount(_ count: Int, level: Int, bits: Int) -> Int {
    min(1 << level, (count - 2 + 1 << (bits - level)) >> (bits - level) + 1)
  }

  /// Where a point is, with its i: in a group that is taken point by point, or on a side.
  public enum Place: Equatable, Sendable {
    case inside(Int)
    case left(Int)
    case right(Int)
  }

  /// The place of point `x` for the public `cell`.
  public func place(of x: Int, cell: Int) -> Place {
    let size = 1 << bits
    let first = (cell + 1 - distances.upperBound) & (size - 1)
    // i of `first` is the last of the window. Groups are counted past the last point.
    func distance(isPast: Bool) -> Int {
      first + distances.upperBound - 1 - x - (isPast ? size : 0)
    }
    var above: (level: Int, number: Int)?
    for level in levels {
      let (all, firstGroup) = (1 << level, first >> (bits - level))
      let count = PointWindow.groupCount(distances.count, level: level, bits: bits)
      let number: Int
      if let above {
        let shift = level - above.level
        let group = (x >> (bits - level)) & (1 << shift - 1)
        number = (first >> (bits - above.level) + above.number) << shift + group - firstGroup
      } else {
        number = (x >> (bits - level) - firstGroup) & (all - 1)
      }
      if number < 0 { return .right(distance(isPast: false)) }
      if number >= count {
        let isPast = firstGroup + number >= all
        return above != nil || number < leftEnd
          ? .left(distance(isPast: isPast)) : .right(distance(isPast: isPast) + size)
      }
      above = (level, number)
    }
    let distance = (cell - x) & (size - 1)
    return .inside(distance < size / 2 ? distance : distance - size)
  }

  /// The least i that is on the left whatever the cell, or nil where there are no groups.
  public var firstLeft: Int? {
    levels.first.map { distances.upperBound - 1 + (1 - leftEnd) << (bits - $0) }
  }
}

/// Point functions f(x) = beta if x = alpha, else 0, whose keys have a layout.
///
/// The trees of `ComparisonFunction` without values on the way, or with those of some levels. Both
/// parties hold the same key bytes; each has its own 16-byte root, which must be fresh, uniform and
/// unknown to the other. A key and one root say nothing about alpha, beta and gamma.
public struct PointFunction: Sendable {
  public let layout: PointKeyLayout
  private let schedule: lodge_aes128_schedule

  /// `fixedKey`: 16 public bytes, the same for dealer and parties.
  public init(fixedKey: [UInt8], layout: PointKeyLayout) {
    self.layout = layout
    schedule = lodge_aes128_schedule(fixedKey: fixedKey)
  }

  private var kernelLayout: lodge_dcf_layout {
    lodge_dcf_layout(
      levels: CInt(layout.bits), payload: CInt(layout.payload),
      word_bytes: CInt(layout.wordByteCount), tail_bits: CInt(layout.tailBits),
      middle_levels: layout.middleLevels.reduce(0) { $0 | 1 << CUnsignedInt($1) },
      gamma_words: CInt(layout.gammaCount))
  }

  /// Makes one key for every element of `alphas`; arguments as of `ComparisonFunction.generate`,
  /// with a key's gamma behind its beta.
  public func generate(
    alphas: Span<UInt64>, betas: Span<UInt64>, roots0: Span<UInt64>, roots1: Span<UInt64>,
    into keys: inout MutableSpan<UInt8>, parallel: Bool = true, arm: KernelArm = .best
  ) {
    KeyGeneration(
      kind: .point, schedule: schedule, layout: kernelLayout,
      keyByteCount: layout.byteCount
    ).run(
      alphas: alphas, betas: betas, roots0: roots0, roots1: roots1, into: &keys,
      parallel: parallel, arm: arm)
  }

  /// One party's shares of f at the public `points`, [keys, pointsPerKey], for keys with one number
  /// in beta: numbers modulo 2^(8 wordByteCount) that add up to f(x) with those of the other.
  ///
  /// `keys` has `layout.byteCount` bytes a key, and `roots` this party's two words a key.
  public func evaluate(
    party: Int, keys: RawSpan, roots: Span<UInt64>, pointsPerKey: Int, points: Span<UInt64>,
    into shares: inout MutableSpan<UInt64>, parallel: Bool = true, arm: KernelArm = .best
  ) {
    precondition(party == 0 || party == 1, "party 0 or party 1")
    precondition(layout.payload == 1, "one number in beta")
    let keyCount = roots.count / 2
    precondition(roots.count == 2 * keyCount, "two root words a key")
    precondition(keys.byteCount == keyCount * layout.byteCount, "`byteCount` bytes a key")
    precondition(points.count == keyCount * pointsPerKey, "`pointsPerKey` points a key")
    precondition(shares.count == points.count, "a share a point")
    let kernel = unsafe arm.kernels.point_evaluate
    let pointsPerPiece = parallel ? 1024 : max(points.count, 1)
    Parallel.forEachChunk(of: &shares, chunk: pointsPerPiece) { range, piece in
      var (schedule, kernelLayout) = (schedule, kernelLayout)
      unsafe keys.withUnsafeBytes { keys in
        unsafe roots.withUnsafeBufferPointer { roots in
          unsafe points.withUnsafeBufferPointer { points in
            unsafe piece.withUnsafeMutableBufferPointer { shares in
              unsafe kernel(
                &schedule, &kernelLayout, CInt(party), range.lowerBound, range.count,
                pointsPerKey, keys.bindMemory(to: UInt8.self).baseAddress, roots.baseAddress,
                points.baseAddress, shares.baseAddress)
            }
          }
        }
      }
    }
  }

  /// One party's sums over points x of its outputs times tables: for every key with its public
  /// place, in cell floor(place / 2^cellBits), and every entry of `tables`, payload word `word`
  /// times values[(cell - x) mod 2^bits], where x is in groups that are taken point by point.
  /// Behind them, where there is gamma, for the left and the right side, P and U: with gamma = (1, r),
  /// where alpha is in a group of that side, U is 1 and P is place - r, as a signed number of that
  /// side. Further pairs (t, t r) of gamma give the same times t.
  ///
  /// `keys` has `layout.byteCount` bytes a key, `roots` this party's two words a key and `sums` is
  /// [keys, tables.sumCount], numbers modulo 2^(8 wordByteCount). Both parties' sums add up.
  public func sum(
    party: Int, keys: RawSpan, roots: Span<UInt64>, places: Span<UInt64>, tables: PointTables,
    into sums: inout MutableSpan<UInt64>, parallel: Bool = true, arm: KernelArm = .best
  ) {
    let (count, tableCount) = (places.count, tables.sumCount)
    precondition(party == 0 || party == 1, "party 0 or party 1")
    precondition(roots.count == 2 * count, "two root words a key")
    precondition(keys.byteCount == count * layout.byteCount, "`byteCount` bytes a key")
    precondition(sums.count == count * tableCount, "a sum for every key and table")
    precondition(tables.layout == layout, "tables for this layout")
    let kernel = unsafe arm.kernels.point_sum
    let keysPerPiece = parallel ? 128 : max(count, 1)
    Parallel.forEachChunk(of: &sums, chunk: keysPerPiece * tableCount) { range, piece in
      let keyRange = range.lowerBound / tableCount..<range.upperBound / tableCount
      var (schedule, kernelLayout) = (schedule, kernelLayout)
      let bytes = keyRange.lowerBound * layout.byteCount..<keyRange.upperBound * layout.byteCount
      let rootRange = 2 * keyRange.lowerBound..<2 * keyRange.upperBound
      unsafe keys.extracting(bytes).withUnsafeBytes { keys in
        unsafe roots.extracting(rootRange).withUnsafeBufferPointer { roots in
          unsafe places.extracting(keyRange).withUnsafeBufferPointer { places in
            unsafe piece.withUnsafeMutableBufferPointer { sums in
              unsafe tables.withKernelTables { tables in
                var tables = unsafe tables
                let scratch = UnsafeMutableRawBufferPointer.allocate(
                  byteCount: unsafe lodge_point_scratch_bytes(&kernelLayout, &tables), alignment: 64
                )
                defer { unsafe scratch.deallocate() }
                unsafe kernel(
                  &schedule, &kernelLayout, CInt(party), keyRange.count,
                  keys.bindMemory(to: UInt8.self).baseAddress, roots.baseAddress,
                  places.baseAddress, &tables, scratch.baseAddress, sums.baseAddress)
              }
            }
          }
        }
      }
    }
  }
}

/// Public tables of 2^bits numbers, each to be multiplied with a word of a point function's
/// payload, as the kernels read them.
public struct PointTables: Sendable {
  public let layout: PointKeyLayout
  public let window: PointWindow
  public let cellBits: Int
  /// Those of the tables, and one for each number of gamma and side.
  public let sumCount: Int
  private let sides: CInt
  let products: [lodge_point_product]
  let pairs: [UInt64]

  /// Tables with the number of the payload's word that they are multiplied with; `countsLeft` and
  /// `countsRight` say which sides' sums are wanted, those of others are 0.
  public init(
    _ tables: [(word: Int, values: [UInt64])], layout: PointKeyLayout, window: PointWindow,
    cellBits: Int, countsLeft: Bool = true, countsRight: Bool = true
  ) {
    let (size, placeCount) = (1 << layout.bits, 1 << layout.tailBits)
    precondition(tables.allSatisfy { $0.values.count == size }, "2^bits values a table")
    precondition(
      tables.allSatisfy { (0..<layout.payload).contains($0.word) }, "words of the payload")
    precondition(
      layout.bits == window.bits && layout.middleLevels == window.levels, "a layout for the window")
    precondition((0...62 - layout.bits).contains(cellBits), "places of fewer than 63 bits")
    self.layout = layout
    self.window = window
    self.cellBits = cellBits
    sumCount = tables.count + 2 * layout.gammaCount
    sides = (countsLeft ? 1 : 0) | (countsRight ? 2 : 0)
    let wordCount = layout.payload * placeCount
    /// The tables that output word `number` of a node is multiplied with.
    func tablesOf(_ number: Int) -> [Int] {
      number < wordCount
        ? tables.indices.filter { tables[$0].word == number % layout.payload } : []
    }
    var products: [lodge_point_product] = []
    for block in 0..<(wordCount + 1) / 2 {
      let (first, second) = (tablesOf(2 * block), tablesOf(2 * block + 1))
      for index in 0..<max(first.count, second.count) {
        products.append(
          lodge_point_product(
            block: CInt(block),
            tables: (
              index < first.count ? CInt(first[index]) : -1,
              index < second.count ? CInt(second[index]) : -1
            )))
      }
    }
    self.products = products
    let nodeCount = size / placeCount
    var pairs: [UInt64] = []
    pairs.reserveCapacity(4 * size * products.count)
    for residue in 0..<placeCount {
      for product in products {
        let numbers = [product.tables.0, product.tables.1]
        for node in 0..<2 * nodeCount {
          for (half, number) in numbers.enumerated() {
            // Of a cell with this residue whose own node is node 0.
            let place = (2 * Int(product.block) + half) / layout.payload
            let index = (placeCount * (2 * nodeCount - node) + residue - place) & (size - 1)
            pairs.append(number < 0 ? 0 : tables[Int(number)].values[index])
          }
        }
      }
    }
    self.pairs = pairs
  }

  fileprivate func withKernelTables(_ body: (lodge_point_tables) -> Void) {
    unsafe products.withUnsafeBufferPointer { products in
      unsafe pairs.withUnsafeBufferPointer { pairs in
        unsafe body(
          lodge_point_tables(
            product_count: products.count, products: products.baseAddress,
            table_count: sumCount - 2 * layout.gammaCount,
            pairs: pairs.baseAddress, cell_bits: CInt(cellBits),
            end: CInt(window.distances.upperBound), window: CInt(window.distances.count),
            left_groups: CInt(window.leftEnd), sides: sides))
      }
    }
  }
}
