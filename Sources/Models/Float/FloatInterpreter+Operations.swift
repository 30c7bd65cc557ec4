// Operations of the float interpreter without matrices: products in Float, sums of rows in Double.

import Glibc

/// One attention operation: q and the result are [positions.count, headCount * headWidth], k and v
/// [keyCount, keyHeadCount * headWidth], all from row `firstRow` on.
struct AttentionShape {
  var firstRow: Int
  /// Positions of the text, all of which have keys.
  var keyCount: Int
  /// Those of the queries.
  var positions: Range<Int>
  var headWidth: Int
  var settings: AttentionSettings
  /// [bucketCount, headCount], where the bias has a table.
  var biasTable: [Float]?
  var isCausal: Bool
  /// Positions at the beginning that every position sees, within a window.
  var contextLength: Int

  /// The key positions that the query at `position` attends to.
  func keys(of position: Int) -> Range<Int> {
    let end = isCausal ? max(position + 1, contextLength) : keyCount
    guard let window = settings.window else { return 0..<end }
    return max(position - window + 1, 0)..<min(position + window, end)
  }

  /// What is added to the score of query head `head` for each distance, or nil.
  func bias(of head: Int) -> ((_ distance: Int) -> Float)? {
    switch settings.bias {
    case nil: nil
    case .linear(let slopes): { Float(slopes[head] * Double($0)) }
    case .relative(_, let buckets):
      biasTable.map { table in { table[buckets.bucket($0) * settings.headCount + head] } }
    }
  }

  /// All positions of head `head` in a query or a result.
  func view(of head: Int) -> MatrixView {
    MatrixView(
      offset: (firstRow * settings.headCount + head) * headWidth, rowCount: positions.count,
      columnCount: headWidth, stride: settings.headCount * headWidth)
  }

  /// All positions of the head in a key or a value that query head `head` reads.
  func keyView(of head: Int) -> MatrixView {
    let keyHead = head / (settings.headCount / settings.keyHeadCount)
    return MatrixView(
      offset: (firstRow * settings.keyHeadCount + keyHead) * headWidth, rowCount: keyCount,
      columnCount: headWidth, stride: settings.keyHeadCount * headWidth)
  }
}

extension FloatInterpreter {
  /// cap * tanh(x / cap), or what the function table has instead.
  func softCap(_ cap: Double, name: String) -> FunctionTable.Function {
    functions.softCaps[name] ?? { cap * tanh($0 / cap) }
  }

  /// layerNorm where it is centred, else rmsNorm; `observe` is told variances or mean squares.
  func normalise(
    _ input: [Float], name: String, width: Int, isCentred: Bool, _ settings: Normalisation,
    gamma: [Float]?, beta: [Float]?, observe: (([Float]) -> Void)?
  ) -> [Float] {
    let size = width / settings.groupCount
    let inverseRoot = functions.reciprocalSquareRoots[name]
    var result = [Float](repeating: 0, count: input.count)
    var variances: [Float] = []
    for start in stride(from: 0, to: input.count, by: size) {
      var mean = 0.0
      if isCentred {
        for column in 0..<size { mean += Double(input[start + column]) }
        mean /= Double(size)
      }
      var squares = 0.0
      for column in 0..<size {
        let centred = Double(input[start + column]) - mean
        squares += centred * centred
      }
      let variance = squares / Double(size)
      variances.append(Float(variance))
      let argument = variance + settings.epsilon
      let factor = inverseRoot?(argument) ?? 1 / argument.squareRoot()
      // Weights are those of the group, or of the group's place in the row.
      let place = start % width
      for column in 0..<size {
        var value = Float((Double(input[start + column]) - mean) * factor)
        if let gamma { value *= gamma[gamma.count == size ? column : place + column] }
        if let beta { value += beta[beta.count == size ? column : place + column] }
        result[start + column] = value
      }
    }
    observe?(variances)
    return result
  }

  func pool(_ input: [Float], _ batch: TextBatch, width: Int, _ pooling: RowPooling) -> [Float] {
    var result: [Float] = []
    for text in batch.texts {
      let start = text.rows.lowerBound * width
      switch pooling {
      case .first: result += input[start..<start + width]
      case .mean:
        result += (0..<width).map { column in
          let sum = text.rows.reduce(0.0) { $0 + Double(input[$1 * width + column]) }
          return Float(sum / Double(text.rows.count))
        }
      }
    }
    return result
  }

  func rotary(
    _ input: [Float], _ batch: TextBatch, width: Int, headCount: Int, _ positions: RotaryPositions
  ) -> [Float] {
    var result = input
    for text in batch.texts {
      rotate(input, text, into: &result, width: width, headCount: headCount, positions)
    }
    return result
  }

  private func rotate(
    _ input: [Float], _ text: TextBatch.Text, into result: inout [Float], width: Int,
    headCount: Int, _ positions: RotaryPositions
  ) {
    let context = text.context
    let headWidth = width / headCount
    let count = positions.frequencies.count
    for (position, row) in zip(text.firstPosition..., text.rows) {
      let start = row * width
      for pair in 0..<positions.dimensions / 2 {
        let (first, second, place) =
          switch positions.layout {
          case .halves: (pair, pair + count, position)
          case .pairs: (2 * pair, 2 * pair + 1, position)
          case .twoPositions where pair < count:
            (pair, pair + count, context.contextPosition(position))
          case .twoPositions:
            (pair + count, pair + 2 * count, context.blockPosition(position))
          }
        let angle = Double(place) * positions.frequencies[pair % count]
        let (cosine, sine) = (cos(angle) * positions.magnitude, sin(angle) * positions.magnitude)
        for head in stride(from: start, to: start + width, by: headWidth) {
          let (a, b) = (Double(input[head + first]), Double(input[head + second]))
          result[head + first] = Float(a * cosine - b * sine)
          result[head + second] = Float(b * cosine + a * sine)
        }
      }
    }
  }

  func attention(
    query: [Float], key: [Float], value: [Float], name: String, shape: AttentionShape,
    into result: inout [Float], observe: ((Observation, [Float]) -> Void)?
  ) {
    let count = shape.keyCount
    let table = MatrixView(
      offset: 0, rowCount: shape.positions.count, columnCount: count, stride: count)
    var scores = [Float](repeating: 0, count: shape.positions.count * count)
    var rowMaxima: [Float] = []
    for head in 0..<shape.settings.headCount {
      let (view, keyView) = (shape.view(of: head), shape.keyView(of: head))
      MatrixProduct.multiply(
        query, view, key, keyView, transposed: true, scale: Float(shape.settings.scale),
        into: &scores, table)
      let bias = shape.bias(of: head)
      var seenUncapped: [Float] = []
      var seenScores: [Float] = []
      var seenCentred: [Float] = []
      var seenSums: [Float] = []
      for (row, position) in shape.positions.enumerated() {
        let keys = shape.keys(of: position)
        let allowed = row * count + keys.lowerBound..<row * count + keys.upperBound
        if let cap = shape.settings.softCap {
          if observe != nil { seenUncapped += scores[allowed] }
          let function = softCap(cap, name: name)
          for index in allowed { scores[index] = Float(function(Double(scores[index]))) }
        }
        if let bias {
          for index in allowed { scores[index] += bias(index - row * count - position) }
        }
        if observe != nil { seenScores += scores[allowed] }
        let largest = scores[allowed].max() ?? 0
        if observe != nil { rowMaxima.append(largest) }
        if observe != nil { seenCentred += scores[allowed].lazy.map { $0 - largest } }
        let sum = softmax(&scores, allowed, largest: largest, name: name)
        if observe != nil, let sum { seenSums.append(Float(sum)) }
        for masked in row * count..<allowed.lowerBound { scores[masked] = 0 }
        for masked in allowed.upperBound..<(row + 1) * count { scores[masked] = 0 }
      }
      MatrixProduct.multiply(
        scores, table, value, keyView, transposed: false, into: &result, view)
      if !seenUncapped.isEmpty { observe?(.uncappedScores, seenUncapped) }
      observe?(.scores, seenScores)
      observe?(.centredScores, seenCentred)
      if !seenSums.isEmpty { observe?(.denominator, seenSums) }
    }
    if let observe, !rowMaxima.isEmpty { observe(.rowMaxima, rowMaxima) }
  }

  /// Replaces the values in `range` by exp(value - largest) divided by the sum of these, or by what
  /// the function table has for the whole row; gives the sum unless it is the table's.
  private func softmax(
    _ values: inout [Float], _ range: Range<Int>, largest: Float, name: String
  ) -> Double? {
    if let replacement = functions.softmaxes[name] {
      var row = values[range].map(Double.init)
      replacement(&row)
      for (index, weight) in zip(range, row) { values[index] = Float(weight) }
      return nil
    }
    var sum = 0.0
    for index in range {
      let centred = Double(values[index]) - Double(largest)
      let power = exp(centred)
      values[index] = Float(power)
      sum += power
    }
    let factor = 1 / sum
    for index in range { values[index] = Float(Double(values[index]) * factor) }
    return sum
  }
}
