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
    x.indices.map { x[$0] &* elements[$0 % columnCount] }
  }
}

extension SessionStep {
  /// For each head, the products of this step's query rows with the key rows that each attends to.
  ///
  /// `query` is [rows, heads * headWidth], `key` [keys so far, keyHeads * headWidth]; the result
  /// has the shape `shape`.
  public func scores(
    _ query: [UInt64], _ key: [UInt64], _ shape: ValueShape, heads: Int, keyHeads: Int,
    headWidth: Int
  ) -> [UInt64] {
    let keyCount = key.count / (keyHeads * headWidth)
    return scores(shape, heads: heads, keyHeads: keyHeads, keyCount: keyCount) { head in
      RingOperand(
        query, offset: head * headWidth, rows: rows.count, columns: headWidth,
        stride: heads * headWidth)
    } keys: { keyHead in
      RingOperand(
        key, offset: keyHead * headWidth, rows: keyCount, columns: headWidth,
        stride: keyHeads * headWidth)
    }
  }

  /// The same for `queries`, [rows, headWidth] of a head, and `keys`, [keyCount, headWidth] of a
  /// key head.
  public func scores(
    _ shape: ValueShape, heads: Int, keyHeads: Int, keyCount: Int, arm: KernelArm = .best,
    queries: (_ head: Int) -> RingOperand<UInt64>, keys: (_ keyHead: Int) -> RingOperand<UInt64>
  ) -> [UInt64] {
    var result = [UInt64](repeating: 0, count: elementCount(shape))
    var products = [UInt64](repeating: 0, count: rows.count * keyCount)
    let runs = runs(shape, count: heads)
    for head in 0..<heads {
      var span = products.mutableSpan
      RingProduct.multiply(
        queries(head), keys(head * keyHeads / heads).transposed, into: &span, stride: keyCount,
        arm: arm)
      for row in 0..<rows.count {
        for (key, element) in runs[row * heads + head].enumerated() {
          result[element] = products[row * keyCount + key]
        }
      }
    }
    return result
  }

  /// For each head, this step's weights over the keys times the value rows, [rows, heads *
  /// headWidth].
  ///
  /// `weights` has the shape `shape`, `values` is [keys so far, keyHeads * headWidth].
  public func mix(
    _ weights: [UInt64], _ shape: ValueShape, _ values: [UInt64], heads: Int, keyHeads: Int,
    headWidth: Int
  ) -> [UInt64] {
    let keyCount = values.count / (keyHeads * headWidth)
    return mix(
      weights, shape, heads: heads, keyHeads: keyHeads, keyCount: keyCount, headWidth: headWidth
    ) { keyHead in
      RingOperand(
        values, offset: keyHead * headWidth, rows: keyCount, columns: headWidth,
        stride: keyHeads * headWidth)
    }
  }

  /// The same for `values`, [keyCount, headWidth] of a key head.
  public func mix(
    _ weights: [UInt64], _ shape: ValueShape, heads: Int, keyHeads: Int, keyCount: Int,
    headWidth: Int, arm: KernelArm = .best, values: (_ keyHead: Int) -> RingOperand<UInt64>
  ) -> [UInt64] {
    let width = heads * headWidth
    var result = [UInt64](repeating: 0, count: rows.count * width)
    var mixed = [UInt64](repeating: 0, count: rows.count * headWidth)
    for head in 0..<heads {
      let headWeights = RingOperand(
        dense(weights, shape, head: head, keyCapacity: keyCount), rows: rows.count,
        columns: keyCount)
      var span = mixed.mutableSpan
      RingProduct.multiply(
        headWeights, values(head * keyHeads / heads), into: &span, stride: headWidth, arm: arm)
      for row in 0..<rows.count {
        for column in 0..<headWidth {
          result[row * width + head * headWidth + column] = mixed[row * headWidth + column]
        }
      }
    }
    return result
  }

  /// Runs of keys of one head as a dense matrix [rows, keyCapacity], zero where a row has none.
  private func dense(
    _ words: [UInt64], _ shape: ValueShape, head: Int, keyCapacity: Int
  ) -> [UInt64] {
    let heads = shape.columns.runCount
    let all = runs(shape, count: heads)
    var result = [UInt64](repeating: 0, count: rowCount(shape.rows) * keyCapacity)
    for row in 0..<rowCount(shape.rows) {
      for (offset, element) in all[row * heads + head].enumerated() {
        result[row * keyCapacity + offset] = words[element]
      }
    }
    return result
  }

  /// `words` plus the row of a static table that belongs to each row of the value.
  public func addWeight(
    _ words: [UInt64], _ shape: ValueShape, _ elements: [UInt64], rows: WeightRows
  ) -> [UInt64] {
    let width = shape.width ?? 1
    return words.indices.map { index in
      let row: Int =
        switch rows {
        case .bias: 0
        case .positions(let offset): position(shape.rows, index / width) + offset
        }
      return words[index] &+ elements[row * width + index % width]
    }
  }
}
