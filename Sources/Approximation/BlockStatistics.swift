// How many blocks run in a row: what pools of randomness are sized by.

import Foundation

/// Counts of running blocks over the rows of real text.
public struct BlockStatistics: Equatable, Sendable {
  /// Rows whose sums are compared with each other: neighbours are alike, sessions are made of
  /// neighbours, and how much runs changes slowly in some texts.
  static let chunkRowCounts = [32, 64, 128]
  /// Chunks that are needed to tell by how much they deviate.
  private static let leastChunkCount = 8

  /// Chunks of one length, and the squares of their sums.
  struct Chunks: Equatable, Sendable {
    var count = 0
    var squares = 0
  }

  public var rowCount = 0
  public var sum = 0
  public var squares = 0
  /// In one row.
  public var largest = 0
  /// By `chunkRowCounts`.
  var chunks = [Chunks](repeating: Chunks(), count: chunkRowCounts.count)

  public init() {}

  /// Mean of a row.
  public var mean: Double { Double(sum) / Double(max(rowCount, 1)) }

  /// What the sum of n rows deviates by, over the root of n: the most of single rows and of chunks.
  public var deviation: Double {
    var variance = Double(squares) / Double(max(rowCount, 1)) - mean * mean
    for (size, chunks) in zip(BlockStatistics.chunkRowCounts, chunks) {
      let least =
        size == BlockStatistics.chunkRowCounts[0] ? 2 : BlockStatistics.leastChunkCount
      guard chunks.count >= least else { continue }
      let size = Double(size)
      variance = max(
        variance, Double(chunks.squares) / Double(chunks.count) / size - size * mean * mean)
    }
    return max(variance, 0).squareRoot()
  }

  /// What rows of `blockCount` blocks take of a pool where of those that would not run `noise` thousandths
  /// do, each by chance.
  public func load(noise: Int, blockCount: Int) -> BlockLoad {
    let share = Double(noise) / 1000
    let closed = max(Double(blockCount) - mean, 0)
    let kept = (1 - share) * deviation
    return BlockLoad(
      mean: mean + share * closed,
      deviation: (kept * kept + share * (1 - share) * closed).squareRoot(),
      largest: Double(largest) + share * Double(max(blockCount - largest, 0)))
  }

  /// Adds rows of `blockCount` bits.
  public mutating func include(_ bits: [Float], blockCount: Int) {
    var sums = [Int](repeating: 0, count: chunks.count)
    for (number, start) in stride(from: 0, to: bits.count, by: blockCount).enumerated() {
      let count = bits[start..<start + blockCount].count { $0 > 0 }
      rowCount += 1
      sum += count
      squares += count * count
      largest = max(largest, count)
      for (index, size) in BlockStatistics.chunkRowCounts.enumerated() {
        sums[index] += count
        guard (number + 1) % size == 0 else { continue }
        chunks[index].count += 1
        chunks[index].squares += sums[index] * sums[index]
        sums[index] = 0
      }
    }
  }

  public mutating func merge(_ other: BlockStatistics) {
    rowCount += other.rowCount
    sum += other.sum
    squares += other.squares
    largest = max(largest, other.largest)
    for index in chunks.indices {
      chunks[index].count += other.chunks[index].count
      chunks[index].squares += other.chunks[index].squares
    }
  }

  /// In the order of the stored form.
  var numbers: [Int] {
    [rowCount, sum, squares, largest] + chunks.flatMap { [$0.count, $0.squares] }
  }

  static let numberCount = 4 + 2 * chunkRowCounts.count

  init?(numbers: [Int]) {
    guard numbers.count == BlockStatistics.numberCount, numbers.allSatisfy({ $0 >= 0 }),
      numbers[0] > 0
    else { return nil }
    (rowCount, sum, squares, largest) = (numbers[0], numbers[1], numbers[2], numbers[3])
    for index in chunks.indices {
      chunks[index] = Chunks(count: numbers[4 + 2 * index], squares: numbers[5 + 2 * index])
    }
  }
}

/// How many blocks rows take of a pool.
public struct BlockLoad: Equatable, Sendable {
  /// Mean of a row.
  public var mean: Double
  /// What the sum of n rows deviates by, over the root of n.
  public var deviation: Double
  /// In one row.
  public var largest: Double

  /// How likely `rowCount` rows of one session need more than `capacity` blocks.
  ///
  /// Their sum is taken to be log-normal with mean m = n mean and variance v = n deviation^2: texts differ
  /// by factors, and far more of them need much than a normal distribution has.
  ///
  ///     erfc((ln((capacity + 1/2) / m) + s^2 / 2) / (s sqrt 2)) / 2,   s^2 = ln(1 + v / m^2)
  public func exhaustion(capacity: Int, rowCount: Int) -> Double {
    let total = mean * Double(rowCount)
    guard total > 0, deviation > 0 else { return Double(capacity) < total ? 1 : 0 }
    let spread = log(1 + deviation * deviation * Double(rowCount) / (total * total))
    let place = log((Double(capacity) + 0.5) / total) + spread / 2
    return erfc(place / (2 * spread).squareRoot()) / 2
  }
}
