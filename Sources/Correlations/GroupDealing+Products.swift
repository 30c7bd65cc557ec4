// Correlations of products: masks of all sessions times a weight, and masks times masks.

import Bytes
import Program
import Rings

extension GroupDealing {
  /// Deals r W^T with the masks of all sessions stacked, so that every part of the weight is read
  /// and expanded once for as many rows as the memory holds.
  func dealLinear(_ index: Int, _ x: ValueID, _ id: WeightID) throws(InputError) {
    let weight = program.weights[id]
    let stack = StackedRows(rowCount: shape.dealtRowCount(shapeOf(x).rows))
    let masks = sessions.map { self.masks(of: x, $0) }
    let chunk = max(1, plan.productWordCount / max(weight.outputCount, weight.inputCount))
    for start in stride(from: 0, to: masks.count * stack.rowCount, by: chunk) {
      let rows = start..<min(start + chunk, masks.count * stack.rowCount)
      let result = try products(stack, masks, rows: rows, weight, id)
      try store(result, stack.parts(of: rows), width: weight.outputCount, node: index)
    }
  }

  /// Rows `rows` of the stacked masks times a weight, row-major.
  private func products(
    _ stack: StackedRows, _ masks: [MaskStreams], rows: Range<Int>, _ weight: ProgramWeight,
    _ id: WeightID
  ) throws(InputError) -> [UInt64] {
    let inputs = weight.inputCount
    let words =
      rows.count <= plan.mostRowsInMemory
      ? stack.words(masks, rows: rows, width: inputs) : nil
    return try weight.product(
      rowCount: rows.count, elementBits: weights.elementBits(id),
      partWordCount: plan.weightWordCount, arm: arm
    ) { columns in
      if let words {
        return RingOperand(
          words, offset: columns.lowerBound, rows: rows.count, columns: columns.count,
          stride: inputs)
      }
      return stack.operand(masks, rows: rows, columns: columns, width: inputs)
    } elements: { (range) throws(InputError) in
      try weights.elements(id, in: range)
    }
  }

  /// Stores stacked products with `width` words a row, each session's to its own array.
  private func store(
    _ products: [UInt64], _ parts: [StackedRows.Part], width: Int, node: Int
  ) throws(InputError) {
    let chunk = plan.elementWordCount
    let component = program.correlationComponents(node)[0]
    let longest = parts.map(\.rows.count).max() ?? 0
    try OrderedChunks.run(lanes: parts.count, chunks: (longest * width + chunk - 1) / chunk) {
      (lane, number) throws(InputError) -> [UInt64] in
      let part = parts[lane]
      let words = products[part.places.lowerBound * width..<part.places.upperBound * width]
      var share = Array(words.dropFirst(number * chunk).prefix(chunk))
      sessions[part.session].hide(
        &share, node: node, component, number: 0, at: part.rows.lowerBound * width + number * chunk)
      return share
    } store: { (lane, number, share) throws(InputError) in
      guard !share.isEmpty else { return }
      try sessions[parts[lane].session].store(
        share, node: node, component: 0,
        at: parts[lane].rows.lowerBound * width + number * chunk)
    }
  }

  // MARK: Attention

  func dealScores(_ index: Int, _ query: ValueID, _ key: ValueID, heads: Int, keyHeads: Int)
    throws(InputError)
  {
    let output = shapeOf(program.nodes[index].outputs.lowerBound)
    let (queryWidth, keyWidth) = (shapeOf(query).width ?? 0, shapeOf(key).width ?? 0)
    try dealRows(index, taking: [output]) { rows, session in
      let (queries, keys) = (masks(of: query, session), masks(of: key, session))
      return SessionStep.dealing(shape, rows: rows).scores(
        ValueShape(.step, output.columns), heads: heads, keyHeads: keyHeads, arm: arm
      ) { head, part in
        queries.operand(
          rows: part.shifted(by: rows.lowerBound), columns: column(head, of: heads, queryWidth),
          rowStride: queryWidth)
      } keys: { keyHead, rows in
        keys.operand(
          rows: rows, columns: column(keyHead, of: keyHeads, keyWidth), rowStride: keyWidth)
      }
    }
  }

  func dealMix(_ index: Int, _ mixed: ValueID, _ value: ValueID, heads: Int, keyHeads: Int)
    throws(InputError)
  {
    let output = shapeOf(program.nodes[index].outputs.lowerBound)
    let width = shapeOf(value).width ?? 0
    let offsets = shape.dealtRowOffsets(shapeOf(mixed))
    try dealRows(index, taking: [output, shapeOf(mixed)]) { rows, session in
      let values = masks(of: value, session)
      return SessionStep.dealing(shape, rows: rows).mix(
        masks(of: mixed, session).words(in: offsets[rows.lowerBound]..<offsets[rows.upperBound]),
        ValueShape(.step, shapeOf(mixed).columns), heads: heads, keyHeads: keyHeads,
        headWidth: width / keyHeads, arm: arm
      ) { keyHead, rows in
        values.operand(
          rows: rows, columns: column(keyHead, of: keyHeads, width), rowStride: width)
      }
    }
  }

  private func column(_ head: Int, of heads: Int, _ width: Int) -> Range<Int> {
    head * (width / heads)..<(head + 1) * (width / heads)
  }

  /// Deals the one component of operation `index` in whole rows, so many at a time that none of the
  /// values of the shapes `taken` takes more than a task may.
  private func dealRows(
    _ index: Int, taking taken: [ValueShape],
    make: (Range<Int>, DealtSession<Sink>) -> [UInt64]
  ) throws(InputError) {
    let output = shape.dealtRowOffsets(shapeOf(program.nodes[index].outputs.lowerBound))
    let component = program.correlationComponents(index)[0]
    let longest = taken.map(shape.longestRow).max() ?? 1
    let chunk = max(1, plan.taskWordCount / max(longest, 1))
    let rowCount = output.count - 1
    try OrderedChunks.run(lanes: sessions.count, chunks: (rowCount + chunk - 1) / chunk) {
      (lane, part) throws(InputError) -> [UInt64] in
      let rows = part * chunk..<min((part + 1) * chunk, rowCount)
      var share = make(rows, sessions[lane])
      sessions[lane].hide(
        &share, node: index, component, number: 0, at: output[rows.lowerBound])
      return share
    } store: { (lane, part, share) throws(InputError) in
      try sessions[lane].store(share, node: index, component: 0, at: output[part * chunk])
    }
  }
}
