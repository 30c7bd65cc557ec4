// What a party sends for an opened value, and how it travels.

internal import Rings

extension Opening {
  /// This party's words: the shifted share of x, which is known modulo 2^ringBits, plus one at party
  /// 0 where bits are dropped, plus its share of the mask.
  public func masked(
    _ share: [UInt64], ringBits: Int, mask: [UInt64], constantFactor: UInt64
  ) -> [UInt64] {
    WordArrays.best.masked(
      share, ringBits: ringBits, shift: shift, one: shift > 0 ? constantFactor : 0, mask: mask,
      bits: bits)
  }

  /// Appends `words` as they travel: the lowest `bits` of each, which are all that may be set, from
  /// the lowest bit of a word on and without gaps, filled up with zeros to a whole word.
  public func pack(_ words: [UInt64], into outgoing: inout [UInt64]) {
    WordArrays.best.pack(words, bits: bits, into: &outgoing)
  }

  /// Adds the other party's packed words to this party's.
  public func add(_ incoming: ArraySlice<UInt64>, to words: inout [UInt64]) {
    WordArrays.best.add(packed: incoming, bits: bits, to: &words)
  }
}

extension SessionStep {
  /// Cell and place of every opened word of a value of `shape`, under the tops of its runs.
  public func cellPlaces(
    _ opened: [UInt64], _ shape: ValueShape, _ cells: MaskCells, tops: [Int]
  ) -> [(cell: Int, offset: UInt64)] {
    underTops(opened, shape, tops: tops) { cells.place($0, top: $1) }
  }

  /// Shares of the bits of every bound for the opened words of a value, from the `words` dealt for
  /// them: an array a bound.
  public func coarseBits(
    _ opened: [UInt64], _ shape: ValueShape, _ function: CoarseSteps, dealt words: [UInt64]
  ) -> [[UInt64]] {
    let count = opened.count
    var cells: [UInt32] = []
    cells.reserveCapacity(count)
    for (run, top) in topRuns(count, shape, tops: function.tops) {
      for word in opened[run] { cells.append(UInt32(function.cells.place(word, top: top).cell)) }
    }
    let results = WordArrays.best.cellSums(
      words, cellCount: function.cells.count, cells: cells, bounds: function.bounds)
    return function.bounds.indices.map { Array(results[$0 * count..<($0 + 1) * count]) }
  }

  /// Runs of elements with the same top.
  private func topRuns(_ count: Int, _ shape: ValueShape, tops: [Int]) -> [(Range<Int>, Int)] {
    if tops.count == 1 { return [(0..<count, tops[0])] }
    if let columns = shape.columns.runningBlocks {
      return Array(zip(runs(shape, count: 1), pattern(columns).rows.joined().map { tops[$0] }))
    }
    return runs(shape, count: tops.count).enumerated().map { ($1, tops[$0 % tops.count]) }
  }

  /// What `body` gives for every word of a value of `shape` and the top of its run.
  public func underTops<Result>(
    _ words: [UInt64], _ shape: ValueShape, tops: [Int],
    _ body: (_ word: UInt64, _ top: Int) -> Result
  ) -> [Result] {
    var result: [Result] = []
    result.reserveCapacity(words.count)
    for (run, top) in topRuns(words.count, shape, tops: tops) {
      for word in words[run] { result.append(body(word, top)) }
    }
    return result
  }
}
