// How many blocks run in a row: what pools of randomness are sized by.

/// Counts of running blocks over the rows of real text.
public struct BlockStatistics: Equatable, Sendable {
  /// Rows whose sums are compared with each other: neighbours are alike, and sessions are made of
  /// neighbours.
  static let chunkRowCount = 32

  public var rowCount = 0
  public var sum = 0
  public var squares = 0
  public var chunkCount = 0
  public var chunkSquares = 0
  /// In one row.
  public var largest = 0

  public init() {}

  /// Mean of a row.
  public var mean: Double { Double(sum) / Double(max(rowCount, 1)) }

  /// What the sum of n rows deviates by, over the root of n.
  public var deviation: Double {
    let row = Double(squares) / Double(max(rowCount, 1)) - mean * mean
    let chunk = Double(chunkSquares) / Double(max(chunkCount, 1))
    let size = Double(BlockStatistics.chunkRowCount)
    return max(row, chunkCount > 1 ? chunk / size - size * mean * mean : 0, 0).squareRoot()
  }

  /// Adds rows of `blockCount` bits.
  public mutating func include(_ bits: [Float], blockCount: Int) {
    var chunk = 0
    for (number, start) in stride(from: 0, to: bits.count, by: blockCount).enumerated() {
      let count = bits[start..<start + blockCount].count { $0 > 0 }
      rowCount += 1
      sum += count
      squares += count * count
      largest = max(largest, count)
      chunk += count
      guard (number + 1) % BlockStatistics.chunkRowCount == 0 else { continue }
      chunkCount += 1
      chunkSquares += chunk * chunk
      chunk = 0
    }
  }

  public mutating func merge(_ other: BlockStatistics) {
    rowCount += other.rowCount
    sum += other.sum
    squares += other.squares
    chunkCount += other.chunkCount
    chunkSquares += other.chunkSquares
    largest = max(largest, other.largest)
  }

  /// In the order of the stored form.
  var numbers: [Int] { [rowCount, sum, squares, chunkCount, chunkSquares, largest] }

  init?(numbers: [Int]) {
    guard numbers.count == 6, numbers.allSatisfy({ $0 >= 0 }), numbers[0] > 0 else { return nil }
    (rowCount, sum, squares) = (numbers[0], numbers[1], numbers[2])
    (chunkCount, chunkSquares, largest) = (numbers[3], numbers[4], numbers[5])
  }
}
