// Operations of the float interpreter without matrices: products in Float, sums of rows in Double.

import Glibc

/// Sizes of one attention operation: q and the result are [positionCount, headCount * headWidth], k
/// and v [positionCount, keyHeadCount * headWidth], all from row `firstRow` on.
struct AttentionShape {
  var firstRow: Int
  var positionCount: Int
  var headWidth: Int
  var headCount: Int
  var keyHeadCount: Int
  var isCausal: Bool
  /// Positions at the beginning that every position sees.
  var contextLength: Int
  var scale: Double

  /// Number of key positions that query position `row` attends to: the first ones.
  func keyCount(of row: Int) -> Int {
    isCausal ? max(row + 1, contextLength) : positionCount
  }

  /// All positions of head `head` in a query or a result.
  func view(of head: Int) -> MatrixView {
    MatrixView(
      offset: (firstRow * headCount + head) * headWidth, rowCount: positionCount,
      columnCount: headWidth, stride: headCount * headWidth)
  }

  /// All positions of the head in a key or a value that query head `head` reads.
  func keyView(of head: Int) -> MatrixView {
    let keyHead = head / (headCount / keyHeadCount)
    return MatrixView(
      offset: (firstRow * keyHeadCount + keyHead) * headWidth, rowCount: positionCount,
      columnCount: headWidth, stride: keyHeadCount * headWidth)
  }
}

extension FloatInterpreter {
  func layerNorm(
    _ input: [Float], name: String, gamma: [Float], beta: [Float], epsilon: Double,
    observeVariances: (([Float]) -> Void)?
  ) -> [Float] {
    let width = gamma.count
    let inverseRoot = functions.reciprocalSquareRoots[name]
    var result = [Float](repeating: 0, count: input.count)
    var variances: [Float] = []
    for start in stride(from: 0, to: input.count, by: width) {
      var sum = 0.0
      for column in 0..<width { sum += Double(input[start + column]) }
      let mean = sum / Double(width)
      var squares = 0.0
      for column in 0..<width {
        let centred = Double(input[start + column]) - mean
        squares += centred * centred
      }
      let variance = squares / Double(width)
      variances.append(Float(variance))
      let factor = inverseRoot?(variance + epsilon) ?? 1 / (variance + epsilon).squareRoot()
      for column in 0..<width {
        let normalised = (Double(input[start + column]) - mean) * factor
        result[start + column] = Float(normalised) * gamma[column] + beta[column]
      }
    }
    observeVariances?(variances)
    return result
  }

  func rmsNorm(
    _ input: [Float], name: String, gamma: [Float], epsilon: Double,
    observeMeanSquares: (([Float]) -> Void)?
  ) -> [Float] {
    let width = gamma.count
    let inverseRoot = functions.reciprocalSquareRoots[name]
    var result = [Float](repeating: 0, count: input.count)
    var meanSquares: [Float] = []
    for start in stride(from: 0, to: input.count, by: width) {
      var squares = 0.0
      for column in 0..<width {
        squares += Double(input[start + column]) * Double(input[start + column])
      }
      let mean = squares / Double(width)
      meanSquares.append(Float(mean))
      let factor = inverseRoot?(mean + epsilon) ?? 1 / (mean + epsilon).squareRoot()
      for column in 0..<width {
        result[start + column] = Float(Double(input[start + column]) * factor) * gamma[column]
      }
    }
    observeMeanSquares?(meanSquares)
    return result
  }

  func rotary(
    _ input: [Float], _ batch: TextBatch, width: Int, headCount: Int, base: Double,
    dimensions: Int, layout: RotaryLayout
  ) -> [Float] {
    var result = input
    for text in batch.texts {
      rotate(
        input, text, into: &result, width: width, headCount: headCount, base: base,
        dimensions: dimensions, layout: layout)
    }
    return result
  }

  private func rotate(
    _ input: [Float], _ text: TextBatch.Text, into result: inout [Float], width: Int,
    headCount: Int, base: Double, dimensions: Int, layout: RotaryLayout
  ) {
    let context = text.context
    let headWidth = width / headCount
    let half = dimensions / 2
    let quarter = dimensions / 4
    for (position, row) in text.rows.enumerated() {
      let start = row * width
      for pair in 0..<half {
        let (first, second, place, exponent) =
          switch layout {
          case .halves: (pair, pair + half, position, Double(pair) / Double(half))
          case .pairs: (2 * pair, 2 * pair + 1, position, Double(pair) / Double(half))
          case .twoPositions where pair < quarter:
            (
              pair, pair + quarter, context.contextPosition(position),
              Double(pair) / Double(quarter)
            )
          case .twoPositions:
            (
              pair + quarter, pair + half, context.blockPosition(position),
              Double(pair - quarter) / Double(quarter)
            )
          }
        let angle = Double(place) * pow(base, -exponent)
        let (cosine, sine) = (cos(angle), sin(angle))
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
    let count = shape.positionCount
    let square = MatrixView(offset: 0, rowCount: count, columnCount: count, stride: count)
    var scores = [Float](repeating: 0, count: count * count)
    for head in 0..<shape.headCount {
      let (view, keyView) = (shape.view(of: head), shape.keyView(of: head))
      MatrixProduct.multiply(
        query, view, key, keyView, transposed: true, scale: Float(shape.scale), into: &scores,
        square)
      var seenScores: [Float] = []
      var seenCentred: [Float] = []
      var seenSums: [Float] = []
      for row in 0..<count {
        let allowed = row * count..<row * count + shape.keyCount(of: row)
        if observe != nil { seenScores += scores[allowed] }
        let largest = scores[allowed].max() ?? 0
        if observe != nil { seenCentred += scores[allowed].lazy.map { $0 - largest } }
        let sum = softmax(&scores, allowed, largest: largest, name: name)
        if observe != nil, let sum { seenSums.append(Float(sum)) }
        for masked in allowed.upperBound..<(row + 1) * count { scores[masked] = 0 }
      }
      MatrixProduct.multiply(
        scores, square, value, keyView, transposed: false, into: &result, view)
      observe?(.scores, seenScores)
      observe?(.centredScores, seenCentred)
      if !seenSums.isEmpty { observe?(.denominator, seenSums) }
    }
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
