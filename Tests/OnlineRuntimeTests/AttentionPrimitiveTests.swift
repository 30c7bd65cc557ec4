// Scores, maxima and mixes over the keys in two parties, with and without a cache.

import Models
import Program
import TestSupport
import Testing

struct AttentionPrimitiveTests {
  static let width = 6
  static let heads = 2

  /// What one row of attention without softmax gives: sum over keys of (score - maximum) * value.
  static func expected(
    _ inputs: [[UInt64]], weights: [[UInt64]], kind: ModelKind, row: Int, keyHeads: Int
  ) -> [UInt64] {
    func project(_ row: [UInt64], _ weight: [UInt64]) -> [UInt64] {
      (0..<weight.count / width).map { output in
        (0..<width).reduce(0) { $0 &+ row[$1] &* weight[output * width + $1] }
      }
    }
    let query = project(inputs[row], weights[0])
    let keys = inputs.map { project($0, weights[1]) }
    let values = inputs.map { project($0, weights[2]) }
    let keyCount = kind == .decoder ? row + 1 : inputs.count
    let headWidth = width / heads
    var result = [UInt64](repeating: 0, count: width)
    for head in 0..<heads {
      let columns = head * headWidth..<(head + 1) * headWidth
      // Query head h reads key head h / (heads / keyHeads).
      let moved = columns.lowerBound - head * keyHeads / heads * headWidth
      let scores = (0..<keyCount).map { key in
        columns.reduce(UInt64(0)) { $0 &+ query[$1] &* keys[key][$1 - moved] }
      }
      let maximum = scores.map { Int64(bitPattern: $0) }.max() ?? 0
      for key in 0..<keyCount {
        for column in columns {
          result[column] &+=
            (scores[key] &- UInt64(bitPattern: maximum)) &* values[key][column - moved]
        }
      }
    }
    return result
  }

  /// Builds (scores - maximum) mixed with values; comparisons are exact (no dropped bits).
  static func build(
    _ builder: inout ProgramBuilder, _ x: FixedValue, kind: ModelKind, keyHeads: Int,
    comparison: ComparisonProtocol
  )
    throws -> FixedValue
  {
    func project(_ name: String, heads: Int) throws -> FixedValue {
      let id = builder.weight(
        ProgramWeight(
          name: name, rowCount: width / Self.heads * heads, columnCount: width, fractionalBits: 0,
          source: WeightFormula()))
      return try builder.emit(.linear(builder.open(x).id, weight: id), bits: 0, bound: 1)
    }
    let (query, key, value) = (
      try project("q", heads: heads), try project("k", heads: keyHeads),
      try project("v", heads: keyHeads)
    )
    let scores = try builder.emit(
      .scores(
        query: builder.open(query).id, key: builder.open(key).id, heads: heads, keyHeads: keyHeads),
      bits: 0,
      bound: 1)
    var level = scores
    for _ in 0..<5 {
      let difference = try builder.emit(.pairDifference(level.id), bits: 0, bound: 1)
      let positive = try builder.emit(
        .piecewiseLinear(
          builder.open(difference).id,
          PiecewiseLinear(
            shift: 0, droppedBits: 0, comparedBits: 40, knots: [0],
            outputs: [.init(slopes: [0, 1], intercepts: [0, 0], fractionalBits: 0)],
            comparison: comparison)),
        bits: [0])[0]
      level = try builder.emit(.pairMerge(level.id, positive), bits: 0, bound: 1)
    }
    let maximum = try builder.emit(.sum(level.id, runs: heads), bits: 0, bound: 1)
    var weights = try builder.emit(
      .combine([Term(scores.id, 1), Term(maximum.id, -1)], constant: 0), bits: 0, bound: 1)
    var rows = value
    weights = try builder.emit(.padKeys(weights.id), bits: 0, bound: 1)
    if kind == .encoder {
      rows = try builder.emit(.padRows(rows.id), bits: 0, bound: 1)
    }
    return try builder.emit(
      .mix(
        weights: builder.open(weights).id, value: builder.open(rows).id, heads: heads,
        keyHeads: keyHeads),
      bits: 0, bound: 1)
  }

  static func weights(keyHeads: Int) -> [[UInt64]] {
    (0..<3).map {
      PrimitiveTests.inputs(
        count: width / heads * ($0 == 0 ? heads : keyHeads) * width, bits: 6,
        salt: UInt32(20 + $0))
    }
  }

  @Test(
    arguments: [[1], [7], [5, 1, 1, 1, 1], [1, 1, 1]].flatMap { [($0, 1), ($0, 2)] },
    ComparisonProtocol.allCases)
  func decoder(counts: (rows: [Int], keyHeads: Int), comparison: ComparisonProtocol) throws {
    let (rowCounts, keyHeads) = counts
    let weights = Self.weights(keyHeads: keyHeads)
    let rows = (0..<rowCounts.reduce(0, +)).map {
      PrimitiveTests.inputs(count: Self.width, bits: 6, salt: UInt32(40 + $0))
    }
    var steps: [[UInt64]] = []
    var next = 0
    for count in rowCounts {
      steps.append(rows[next..<next + count].flatMap { $0 })
      next += count
    }
    // The session has room for more than is used.
    let session = SessionShape(
      kind: .decoder, promptCapacity: rowCounts[0] + 2, newCapacity: rowCounts.count + 3)
    let outcome = try PrimitiveTests.execute(
      width: Self.width, weights: weights, session: session, steps: steps
    ) { try Self.build(&$0, $1, kind: .decoder, keyHeads: keyHeads, comparison: comparison) }
    #expect(outcome.parties == outcome.simulator)
    let results = outcome.parties.flatMap { $0 }
    for row in rows.indices {
      #expect(
        Array(results[row * Self.width..<(row + 1) * Self.width])
          == Self.expected(rows, weights: weights, kind: .decoder, row: row, keyHeads: keyHeads))
    }
  }

  @Test(arguments: [1, 2, 6, 9].flatMap { [($0, 1), ($0, 2)] }, ComparisonProtocol.allCases)
  func encoder(counts: (rows: Int, keyHeads: Int), comparison: ComparisonProtocol) throws {
    let (rowCount, keyHeads) = counts
    let weights = Self.weights(keyHeads: keyHeads)
    let rows = (0..<rowCount).map {
      PrimitiveTests.inputs(count: Self.width, bits: 6, salt: UInt32(60 + $0))
    }
    let session = SessionShape(kind: .encoder, promptCapacity: 9, newCapacity: 0)
    let outcome = try PrimitiveTests.execute(
      kind: .encoder, width: Self.width, weights: weights, session: session,
      steps: [rows.flatMap { $0 }]
    ) { try Self.build(&$0, $1, kind: .encoder, keyHeads: keyHeads, comparison: comparison) }
    #expect(outcome.parties == outcome.simulator)
    for row in rows.indices {
      #expect(
        Array(outcome.parties[0][row * Self.width..<(row + 1) * Self.width])
          == Self.expected(rows, weights: weights, kind: .encoder, row: row, keyHeads: keyHeads))
    }
  }

  /// After `lastRow` only one row a step is evaluated, with masks of its own.
  @Test func lastRows() throws {
    let rows = (0..<6).map {
      PrimitiveTests.inputs(count: Self.width, bits: 20, salt: UInt32(80 + $0))
    }
    let steps = [rows[0..<4].flatMap { $0 }, rows[4], rows[5]]
    let outcome = try PrimitiveTests.execute(
      width: Self.width,
      session: SessionShape(kind: .decoder, promptCapacity: 5, newCapacity: 4), steps: steps
    ) { builder, x in
      let last = try builder.emit(.lastRow(x.id), bits: 0, bound: 1)
      return try builder.emit(
        .polynomial(builder.open(last).id, coefficients: [[3, 0, 1]]), bits: 0, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    #expect(outcome.parties == [rows[3], rows[4], rows[5]].map { $0.map { $0 &* $0 &+ 3 } })
  }
}
