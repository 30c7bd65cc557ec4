// Gates of the blocks of a layer: a product of low rank, and a threshold.

import Models

/// The gate of block b is open where (high (low x) + bias)_b >= 0.
public struct LowRankGate: Equatable, Sendable {
  /// Row-major [rank, inputs].
  public var low: [Float]
  /// Row-major [blocks, rank].
  public var high: [Float]
  /// [blocks]; the threshold is in here.
  public var bias: [Float]

  public var rank: Int { high.count / max(bias.count, 1) }
  public var inputCount: Int { low.count / max(rank, 1) }
  public var blockCount: Int { bias.count }

  /// high (low x) + bias for every row of `inputs`, row-major [rowCount, blocks].
  package func scores(_ inputs: [Float], rowCount: Int) -> [Float] {
    let inner = MatrixProduct.product(
      inputs, low, transposingRight: true, rows: rowCount, inner: inputCount, columns: rank)
    return scores(inner: inner, rowCount: rowCount)
  }

  /// The same of low x, row-major [rowCount, rank].
  func scores(inner: [Float], rowCount: Int) -> [Float] {
    var result = MatrixProduct.product(
      inner, high, transposingRight: true, rows: rowCount, inner: rank, columns: blockCount)
    for row in 0..<rowCount {
      for block in 0..<blockCount { result[row * blockCount + block] += bias[block] }
    }
    return result
  }
}
