// Linear operations that act on shares and on plaintext ring elements alike.

internal import Rings

extension SessionStep {
  /// The elements of `shape` as `runs` equal runs a row, in order; of blocks that run, one run each.
  public func runs(_ shape: ValueShape, count runs: Int) -> [Range<Int>] {
    var result: [Range<Int>] = []
    if shape.columns.runningBlocks != nil {
      for width in runningBlockWidths(shape) {
        let start = result.last?.upperBound ?? 0
        result.append(start..<start + width)
      }
      return result
    }
    result.reserveCapacity(rowCount(shape.rows) * runs)
    var start = 0
    for row in 0..<rowCount(shape.rows) {
      let length: Int =
        if case .fixed(let width) = shape.columns { width / runs } else { runLength(shape, row) }
      for _ in 0..<runs {
        result.append(start..<start + length)
        start += length
      }
    }
    return result
  }

  /// The length of each of `runs` equal runs a row where all rows have the same, else nil.
  private func commonRunLength(_ shape: ValueShape, runs: Int) -> Int? {
    switch shape.columns {
    case .fixed(let width): return width / runs
    case .blocks(let columns): return columns.width
    case .blockKeys: return rowCount(shape.rows) == 1 ? blockWidth(shape, 0) : nil
    case .keys, .pairs, .sessionKeys: break
    }
    let length = runLength(shape, 0)
    for row in 1..<max(rowCount(shape.rows), 1) where runLength(shape, row) != length {
      return nil
    }
    return length
  }

  /// Whether `count` runs a row of `shape` have the same length in every row.
  public func hasEqualRuns(_ shape: ValueShape, count: Int) -> Bool {
    commonRunLength(shape, runs: count) != nil
  }

  /// `words` of shape `narrow` repeated so that each column serves its run of `wide`.
  public func broadcast(_ words: [UInt64], _ narrow: ValueShape, to wide: ValueShape) -> [UInt64] {
    if narrow == wide { return words }
    var result = [UInt64](repeating: 0, count: elementCount(wide))
    for (index, run) in runs(wide, count: narrow.width ?? 1).enumerated() {
      let word = words[index]
      for element in run { result[element] = word }
    }
    return result
  }

  /// Sum of coefficient * value plus `constant`; the first value gives the shape.
  public func combine(
    _ terms: [(words: [UInt64], shape: ValueShape, coefficient: UInt64)], constant: UInt64
  ) -> [UInt64] {
    guard let first = terms.first else { return [] }
    let arrays = WordArrays.best
    var result = arrays.scaled(first.words, by: first.coefficient, plus: constant)
    for term in terms.dropFirst() {
      // Equal runs need no copy of the narrow value.
      let isDense =
        term.shape == first.shape || hasEqualRuns(first.shape, count: term.shape.width ?? 1)
      arrays.add(
        isDense ? term.words : broadcast(term.words, term.shape, to: first.shape),
        times: term.coefficient, to: &result)
    }
    return result
  }

  /// One column for each of `runs` equal runs of a row.
  public func sum(_ words: [UInt64], _ shape: ValueShape, runs: Int) -> [UInt64] {
    if let length = commonRunLength(shape, runs: runs), length > 0 {
      return WordArrays.best.sums(words, run: length)
    }
    return self.runs(shape, count: runs).map { run in
      words[run].reduce(0, &+)
    }
  }

  /// Columns 2j minus columns 2j + 1 of each run of keys.
  public func pairDifference(_ words: [UInt64], _ shape: ValueShape) -> [UInt64] {
    var result: [UInt64] = []
    result.reserveCapacity(words.count / 2)
    for run in runs(shape, count: shape.columns.runCount) {
      for pair in 0..<run.count / 2 {
        let left = run.lowerBound + 2 * pair
        result.append(words[left] &- words[left + 1])
      }
    }
    return result
  }

  /// Columns 2j + 1 of each run of keys plus columns j of the pairs; a last odd column stays.
  public func pairMerge(_ words: [UInt64], _ shape: ValueShape, pairs: [UInt64]) -> [UInt64] {
    var result: [UInt64] = []
    result.reserveCapacity(words.count / 2 + shape.columns.runCount)
    var next = 0
    for run in runs(shape, count: shape.columns.runCount) {
      for pair in 0..<run.count / 2 {
        result.append(words[run.lowerBound + 2 * pair + 1] &+ pairs[next])
        next += 1
      }
      if run.count % 2 == 1 { result.append(words[run.upperBound - 1]) }
    }
    return result
  }

  /// Columns for all keys that are dealt: those of this text at their slots, all others zero.
  public func padKeys(_ words: [UInt64], _ shape: ValueShape) -> [UInt64] {
    let runCount = shape.columns.runCount
    let wide = ValueShape(
      shape.rows, .sessionKeys(heads: runCount, window: shape.columns.window))
    let (count, wideCount) = (elementCount(shape), elementCount(wide))
    if count == wideCount { return words }
    var result = [UInt64](repeating: 0, count: wideCount)
    var (source, start) = (0, 0)
    for row in 0..<rowCount(shape.rows) {
      let columns = dealtColumns(shape, row)
      let length = runLength(wide, row)
      for _ in 0..<runCount {
        for column in columns.joined() {
          result[start + column] = words[source]
          source += 1
        }
        start += length
      }
    }
    return result
  }

  /// Zero rows appended up to the rows of the session.
  public func padRows(_ words: [UInt64], _ shape: ValueShape) -> [UInt64] {
    let padded = elementCount(ValueShape(.session, shape.columns))
    return words + [UInt64](repeating: 0, count: padded - words.count)
  }

  /// The first row of a value of fixed width.
  public func firstRow(_ words: [UInt64], _ shape: ValueShape) -> [UInt64] {
    Array(words.prefix(shape.width ?? 0))
  }

  /// The sum of all rows of a value of fixed width, times 2^fractionalBits / rows, rounded.
  public func meanRow(_ words: [UInt64], _ shape: ValueShape, fractionalBits: Int) -> [UInt64] {
    let width = shape.width ?? 1
    let count = UInt64(rowCount(shape.rows))
    let factor = (1 << UInt64(fractionalBits) + count / 2) / count
    var sums = [UInt64](repeating: 0, count: width)
    for (index, word) in words.enumerated() { sums[index % width] &+= word }
    return sums.map { $0 &* factor }
  }

  /// The last rows of a value of fixed width, as many as the step gives.
  public func lastRow(_ words: [UInt64], _ shape: ValueShape) -> [UInt64] {
    Array(words.suffix(rowCount(.last) * (shape.width ?? 0)))
  }
}
