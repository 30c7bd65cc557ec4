// How large the channels of two matrices are, and whether one side makes up for the other.

public import Bytes
import CFloatKernels

/// How large the elements of a matrix are, by rows and by columns, from its parts.
public struct MatrixSizes: Sendable {
  /// Sums of squares.
  public private(set) var rowSquares: [Double] = []
  /// Sums of squares.
  public private(set) var columnSquares: [Double]
  /// Largest magnitudes.
  public private(set) var columnMagnitudes: [Float]

  /// Of no rows.
  public init(columnCount: Int) {
    columnSquares = Array(repeating: 0, count: columnCount)
    columnMagnitudes = Array(repeating: 0, count: columnCount)
  }

  /// Of the rows of `columnCount` elements in `values`, which are finite.
  public init(_ values: [Float], columnCount: Int) {
    self.init(columnCount: columnCount)
    measure(values)
  }

  /// Adds the rows in `values`.
  private mutating func measure(_ values: [Float]) {
    let columnCount = columnSquares.count
    var squares = [Double](repeating: 0, count: values.count / max(columnCount, 1))
    unsafe lodge_measure_rows(
      values, squares.count, columnCount, &squares, &columnSquares, &columnMagnitudes)
    rowSquares += squares
  }

  /// Reads the matrix `name` of `source` once, part by part.
  /// - Throws: `InputError` where the source cannot give it.
  public init(
    _ name: String, rowCount: Int, columnCount: Int, _ source: some WeightSource,
    memory: MemoryBudget
  ) throws(InputError) {
    self.init(columnCount: columnCount)
    let parts = memory.parts(rowCount: rowCount, columnCount: columnCount)
    for batch in stride(from: 0, to: parts.count, by: MatrixSizes.batchCount) {
      let numbers = batch..<min(batch + MatrixSizes.batchCount, parts.count)
      let sizes = try ConcurrentTasks.map(numbers.count) {
        (index) throws(InputError) -> MatrixSizes in
        try MatrixSizes(name, rows: parts[numbers.lowerBound + index], columnCount, source)
      }
      for size in sizes { append(size) }
    }
  }

  /// Of rows `rows` of the matrix `name`: where its words are stored in a row, of a few at a time, which
  /// stay in the cache until they are measured.
  private init(
    _ name: String, rows: Range<Int>, _ columnCount: Int, _ source: some WeightSource
  ) throws(InputError) {
    self.init(columnCount: columnCount)
    let step = max(1, MatrixSizes.cachedElementCount / max(columnCount, 1))
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: step) {
      let last = min(first + step, rows.upperBound)
      let words = try source.storedWords(name, in: first * columnCount..<last * columnCount)
      guard let words else {
        measure(
          try source.weight(name, in: first * columnCount..<rows.upperBound * columnCount))
        return
      }
      measure(source.encoding(of: name).floats(words))
    }
  }

  private static let cachedElementCount = 1 << 16

  /// Adds the rows that follow.
  public mutating func append(_ other: MatrixSizes) {
    rowSquares += other.rowSquares
    for index in columnSquares.indices {
      columnSquares[index] += other.columnSquares[index]
      columnMagnitudes[index] = max(columnMagnitudes[index], other.columnMagnitudes[index])
    }
  }

  /// Parts whose sums by columns are in memory together.
  private static let batchCount = 64

  /// How many times larger the matrix is than half of its rows, as root mean squares; 1 where few
  /// rows do not make it so.
  public var rowUnevenness: Double {
    let rows = rowSquares.filter { $0 > 0 }.sorted()
    guard let largest = rows.last, largest > 0 else { return 1 }
    let mean = rows.reduce(0, +) / Double(rows.count)
    let ratio = (mean / rows[rows.count / 2]).squareRoot()
    return ratio > MatrixSizes.leastRowUnevenness ? ratio : 1
  }

  /// Below this rows differ as those of ordinary matrices do.
  private static let leastRowUnevenness = 32.0
}

/// Root mean squares of the channels of a pair.
public struct ChannelSizes: Sendable {
  /// What each channel is on both sides.
  public let first: [Double]
  public let second: [Double]

  public init(
    _ pair: ChannelPair, first: MatrixSizes, second: MatrixSizes,
    biases: (first: [Float]?, second: [Float]?)
  ) {
    func sizes(_ side: ChannelPair.Side, _ matrix: MatrixSizes, _ bias: [Float]?) -> [Double] {
      var squares = side.readsColumns ? matrix.columnSquares : matrix.rowSquares
      if let bias {
        for index in squares.indices { squares[index] += Double(bias[index] * bias[index]) }
      }
      var sums = [Double](repeating: 0, count: pair.channelCount)
      var counts = sums
      let length = Double(side.readsColumns ? side.shape[0] : side.shape[1])
      for (index, channel) in side.channels.enumerated() {
        sums[channel] += squares[index]
        counts[channel] += length
      }
      return zip(sums, counts).map { ($0 / max($1, 1)).squareRoot() }
    }
    self.first = sizes(pair.first, first, biases.first)
    self.second = sizes(pair.second, second, biases.second)
  }

  /// How many times the rounding of either side weighs more than in a pair whose sides are even: the
  /// product of both root mean squares over that of the products, at least 1.
  public var unevenness: Double {
    let count = Double(first.count)
    func rootMeanSquare(_ values: [Double]) -> Double {
      (values.reduce(0) { $0 + $1 * $1 } / count).squareRoot()
    }
    let products = rootMeanSquare(zip(first, second).map { $0 * $1 })
    guard products > 0 else { return 1 }
    return max(rootMeanSquare(first) * rootMeanSquare(second) / products, 1)
  }
}
