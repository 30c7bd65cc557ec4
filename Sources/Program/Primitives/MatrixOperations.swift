// Products with weights and over the keys of attention, on shares, masks and plaintext alike.

public import Rings

extension ProgramWeight {
  /// x W^T modulo 2^64, row-major [rows, outputCount], for x of [rows, inputCount] elements.
  public func product(_ x: [UInt64], _ elements: [UInt64]) -> [UInt64] {
    let left = RingOperand(x, rows: x.count / inputCount, columns: inputCount)
    let right = RingOperand(elements, rows: rowCount, columns: columnCount)
    return RingProduct.product(left, isTransposed ? right : right.transposed)
  }

  /// x * w column by column, w this weight's single row.
  public func scaled(_ x: [UInt64], _ elements: [UInt64]) -> [UInt64] {
    var result = x
    for start in stride(from: 0, to: x.count, by: columnCount) {
      for column in 0..<columnCount { result[start + column] &*= elements[column] }
    }
    return result
  }
}

extension SessionStep {
  /// For each head, the products of this step's query rows with the key rows that each attends to.
  ///
  /// `query` is [rows, heads * headWidth], `key` [positions so far, keyHeads * headWidth]; the result
  /// has the shape `shape`.
  public func scores(
    _ query: [UInt64], _ key: [UInt64], _ shape: ValueShape, heads: Int, keyHeads: Int,
    headWidth: Int
  ) -> [UInt64] {
    scores(shape, heads: heads, keyHeads: keyHeads) { head, rows in
      RingOperand(
        query, offset: (rows.lowerBound * heads + head) * headWidth, rows: rows.count,
        columns: headWidth, stride: heads * headWidth)
    } keys: { keyHead, rows in
      RingOperand(
        key, offset: (rows.lowerBound * keyHeads + keyHead) * headWidth, rows: rows.count,
        columns: headWidth, stride: keyHeads * headWidth)
    }
  }

  /// The same for `queries`, [rows, headWidth] of a head, and `keys`, those rows of a key head.
  public func scores(
    _ shape: ValueShape, heads: Int, keyHeads: Int, arm: KernelArm = .best,
    queries: (_ head: Int, _ rows: Range<Int>) -> RingOperand<UInt64>,
    keys: (_ keyHead: Int, _ rows: Range<Int>) -> RingOperand<UInt64>
  ) -> [UInt64] {
    var result = [UInt64](repeating: 0, count: elementCount(shape))
    let runs = runs(shape, count: heads)
    for block in attentionBlocks(shape.columns) {
      let width = block.keys.count
      var products = [UInt64](repeating: 0, count: block.rows.count * width)
      for head in 0..<heads {
        var span = products.mutableSpan
        RingProduct.multiply(
          queries(head, block.rows), keys(head * keyHeads / heads, block.keys).transposed,
          into: &span, stride: width, arm: arm)
        for row in block.rows {
          let start =
            (row - block.rows.lowerBound) * width + firstKey(row, in: block, shape.columns)
          for (key, element) in runs[row * heads + head].enumerated() {
            result[element] = products[start + key]
          }
        }
      }
    }
    return result
  }

  /// For each head, this step's weights over the keys times the value rows, [rows, heads *
  /// headWidth].
  ///
  /// `weights` has the shape `shape`, `values` is [mixedRowCount(shape), keyHeads * headWidth].
  public func mix(
    _ weights: [UInt64], _ shape: ValueShape, _ values: [UInt64], heads: Int, keyHeads: Int,
    headWidth: Int
  ) -> [UInt64] {
    mix(weights, shape, heads: heads, keyHeads: keyHeads, headWidth: headWidth) { keyHead, rows in
      RingOperand(
        values, offset: (rows.lowerBound * keyHeads + keyHead) * headWidth, rows: rows.count,
        columns: headWidth, stride: keyHeads * headWidth)
    }
  }

  /// The same for `values`, those rows of a key head.
  public func mix(
    _ weights: [UInt64], _ shape: ValueShape, heads: Int, keyHeads: Int, headWidth: Int,
    arm: KernelArm = .best,
    values: (_ keyHead: Int, _ rows: Range<Int>) -> RingOperand<UInt64>
  ) -> [UInt64] {
    let width = heads * headWidth
    var result = [UInt64](repeating: 0, count: rows.count * width)
    let runs = runs(shape, count: heads)
    for block in attentionBlocks(shape.columns) {
      var mixed = [UInt64](repeating: 0, count: block.rows.count * headWidth)
      for head in 0..<heads {
        // Runs of keys as a dense matrix, zero where a row has none.
        var dense = [UInt64](repeating: 0, count: block.rows.count * block.keys.count)
        for row in block.rows {
          let start =
            (row - block.rows.lowerBound) * block.keys.count
            + firstKey(row, in: block, shape.columns)
          for (key, element) in runs[row * heads + head].enumerated() {
            dense[start + key] = weights[element]
          }
        }
        var span = mixed.mutableSpan
        RingProduct.multiply(
          RingOperand(dense, rows: block.rows.count, columns: block.keys.count),
          values(head * keyHeads / heads, block.keys), into: &span, stride: headWidth, arm: arm)
        for row in block.rows {
          let source = (row - block.rows.lowerBound) * headWidth
          for column in 0..<headWidth {
            result[row * width + head * headWidth + column] = mixed[source + column]
          }
        }
      }
    }
    return result
  }

  /// Rows of values that weights of shape `shape` have columns for: those of the slots so far, and of
  /// an encoder or the context of a prefix decoder all that are dealt for the last row.
  public func mixedRowCount(_ shape: ValueShape) -> Int {
    keys(of: rows.count - 1, shape.columns).upperBound
  }

  /// Rows of this step that are multiplied together, and all keys that any of them attends to.
  private struct AttentionBlock {
    /// Counted from the first row of the step.
    var rows: Range<Int>
    var keys: Range<Int>
  }

  /// All rows in one block, or in blocks of about the window: most keys are then seen.
  private func attentionBlocks(_ columns: ColumnExtent) -> [AttentionBlock] {
    let length = columns.window.map { max($0, 32) } ?? rows.count
    return stride(from: 0, to: rows.count, by: length).map { start in
      let part = start..<min(start + length, rows.count)
      return AttentionBlock(
        rows: part,
        keys: keys(of: part.lowerBound, columns)
          .lowerBound..<keys(of: part.upperBound - 1, columns)
          .upperBound)
    }
  }

  /// The keys that row `row` of this step has columns for: slots where columns are those dealt, else
  /// positions.
  private func keys(of row: Int, _ columns: ColumnExtent) -> Range<Int> {
    if case .sessionKeys(_, let window) = columns {
      return session.dealtKeys(row: dealtRow(.step, row), window: window)
    }
    return keys(position: position(.step, row), window: columns.window)
  }

  /// Where the keys of row `row` begin among those of its block.
  private func firstKey(_ row: Int, in block: AttentionBlock, _ columns: ColumnExtent) -> Int {
    keys(of: row, columns).lowerBound - block.keys.lowerBound
  }

  /// `words` plus the row of a static table that belongs to each row of the value, or to the
  /// distance of each key.
  public func addWeight(
    _ words: [UInt64], _ shape: ValueShape, _ elements: [UInt64], rows: WeightRows
  ) -> [UInt64] {
    let width = shape.width ?? 1
    switch rows {
    case .bias:
      if case .blocks(let columns) = shape.columns { return addingRow(words, columns, elements) }
      var result = words
      WordArrays.best.add(row: elements[..<width], to: &result)
      return result
    case .positions(let offset):
      var result = words
      for row in 0..<rowCount(shape.rows) {
        let first = (position(shape.rows, row) + offset) * width
        for column in 0..<width { result[row * width + column] &+= elements[first + column] }
      }
      return result
    case .distances(let distances):
      let heads = shape.columns.runCount
      return addingByDistance(words, shape) { head, distance in
        elements[distances.row(distance) * heads + head]
      }
    }
  }

  /// `words`, which are scores, plus `constantFactor` * slopes[head] * (key - query position).
  public func addDistance(
    _ words: [UInt64], _ shape: ValueShape, slopes: [UInt64], constantFactor: UInt64 = 1
  ) -> [UInt64] {
    addingByDistance(words, shape) { head, distance in
      constantFactor &* slopes[head] &* UInt64(bitPattern: Int64(distance))
    }
  }

  private func addingByDistance(
    _ words: [UInt64], _ shape: ValueShape, _ term: (_ head: Int, _ distance: Int) -> UInt64
  ) -> [UInt64] {
    let heads = shape.columns.runCount
    var result = words
    for (index, run) in runs(shape, count: heads).enumerated() {
      let first = keys(of: index / heads, shape.columns).lowerBound
      let query = position(shape.rows, index / heads)
      for (key, element) in run.enumerated() {
        result[element] &+= term(index % heads, first + key - query)
      }
    }
    return result
  }
}
