// Products and sums of running blocks, on shares and on plaintext alike.

internal import Rings

extension SessionStep {
  /// Density from which on all columns are computed and those of running blocks taken.
  private static let denseShare = 0.5

  /// The elements of running blocks of x W^T, x of [rows, inputCount] elements; the result has the
  /// shape `shape`, of blocks.
  public func blockProduct(
    _ x: [UInt64], _ shape: ValueShape, _ weight: ProgramWeight, _ elements: [UInt64]
  ) -> [UInt64] {
    guard case .blocks(let columns) = shape.columns else { return [] }
    let pattern = pattern(columns)
    let total = Double(max(pattern.rows.count * columns.count, 1))
    if pattern.rows.count > 1, Double(pattern.blockCount) / total > SessionStep.denseShare {
      return gathered(weight.product(x, elements), shape)
    }
    var result: [UInt64] = []
    result.reserveCapacity(pattern.blockCount * columns.width)
    let inputs = weight.inputCount
    for (row, blocks) in pattern.rows.enumerated() {
      let left = RingOperand(x, offset: row * inputs, rows: 1, columns: inputs, stride: inputs)
      for run in runs(of: blocks) {
        let right = RingOperand(
          elements, offset: run.lowerBound * columns.width * inputs,
          rows: run.count * columns.width, columns: inputs, stride: inputs)
        result += RingProduct.product(left, right.transposed)
      }
    }
    return result
  }

  /// `words` of running blocks plus the columns of a row that belong to them.
  func addingRow(_ words: [UInt64], _ columns: BlockColumns, _ row: [UInt64]) -> [UInt64] {
    var result = words
    var place = 0
    for blocks in pattern(columns).rows {
      for block in blocks {
        for column in block * columns.width..<(block + 1) * columns.width {
          result[place] &+= row[column]
          place += 1
        }
      }
    }
    return result
  }

  /// Ascending blocks as runs of neighbours.
  private func runs(of blocks: [Int]) -> [Range<Int>] {
    var result: [Range<Int>] = []
    for block in blocks {
      if let last = result.last, last.upperBound == block {
        result[result.count - 1] = last.lowerBound..<block + 1
      } else {
        result.append(block..<block + 1)
      }
    }
    return result
  }
}
