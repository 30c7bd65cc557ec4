// What the stages gave on one window of text, compared with the original.

import Models
import Program

/// Comparisons of one window; `EvaluationResult` adds them up.
struct WindowResult: Sendable {
  /// One logit (or hidden element) in all float stages.
  struct Point: Sendable {
    var original: Float
    var approximated: Float
    var ring: Float
  }

  let window: EvaluationWindow
  let kind: ModelKind
  let output: ModelOutput
  /// Logits of each stage against the original's, for a decoder.
  var logits: [Stage: LogitMetrics] = [:]
  /// Hidden states of each stage against the original's, for an encoder.
  var embeddings: [Stage: EmbeddingMetrics] = [:]
  /// The sentence embedding in each stage, for an encoder.
  var vectors: [Stage: [Double]] = [:]
  /// Stage `ring` against stage `approximated`: mean and largest error of the output's elements.
  var ringAgainstApproximated = ElementError()
  /// By node of the model.
  var approximatedErrors: [RelativeError]
  var ringErrors: [RelativeError]
  /// By value of the program.
  var widths: [BitWidthHistogram]
  var functions: [FunctionStatistics] = []
  var points: [Point] = []
  var seconds: [Stage: Double] = [:]

  /// Points that are kept of a window.
  static let pointCount = 256

  init(_ window: EvaluationWindow, evaluator: Evaluator) {
    self.window = window
    kind = evaluator.model.kind
    output = evaluator.model.output
    let errors = [RelativeError](repeating: RelativeError(), count: evaluator.model.nodes.count)
    approximatedErrors = errors
    ringErrors = errors
    widths = [BitWidthHistogram](
      repeating: BitWidthHistogram(), count: evaluator.program.values.count)
  }

  /// Compares the outputs of the stages, [tokens, width] each, from row `firstRow` on.
  mutating func compare(
    original: FloatMatrix, approximated: FloatMatrix, ring: FloatMatrix, firstRow: Int,
    pooling: Pooling, number: Int
  ) {
    for (stage, values) in [
      (Stage.original, original), (.approximated, approximated), (.ring, ring),
    ] {
      switch kind {
      case .decoder, .prefixDecoder:
        var metrics = LogitMetrics()
        for row in window.scored {
          metrics.add(
            stage: values.row(row - firstRow), original: original.row(row - firstRow),
            next: window.tokens[row + 1])
        }
        logits[stage] = metrics
      case .encoder:
        var metrics = EmbeddingMetrics()
        metrics.add(
          stage: values.values, original: original.values, width: values.columnCount,
          pooling: pooling, output: output)
        embeddings[stage] = metrics
        vectors[stage] = pooling.embedding(values.values, width: values.columnCount)
      }
    }
    // A pooled text has one row.
    let rows =
      kind.isDecoder
      ? window.scored.lowerBound - firstRow..<window.scored.upperBound - firstRow
      : 0..<original.rowCount
    for row in rows {
      for (x, y) in zip(ring.row(row), approximated.row(row)) {
        ringAgainstApproximated.add(Double(x) - Double(y))
      }
    }
    // Every second point is one of the largest of its row: they decide which token comes next.
    var state = UInt64(number) &* 0x9e37_79b9_7f4a_7c15 &+ 1
    func next(_ limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(limit))
    }
    for point in 0..<WindowResult.pointCount {
      let row = rows.lowerBound + next(rows.count)
      var column = next(original.columnCount)
      if point % 2 == 1 {
        let largest = LogitMetrics.largest(Array(original.row(row)))
        column = largest[next(largest.count)]
      }
      let index = row * original.columnCount + column
      points.append(
        Point(
          original: original.values[index], approximated: approximated.values[index],
          ring: ring.values[index]))
    }
  }
}
