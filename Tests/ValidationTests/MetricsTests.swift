// Metrics against values that NumPy computed from the definitions.

import Models
import Testing
import Validation

struct MetricsTests {
  static let original: [[Float]] = [
    [-2.41, -3.97, -0.75, 1.26, 3.41, 0.33, -1.66],
    [-2.35, 2.25, 4.9, 0.82, -3.7, -2.87, 4.8],
    [0.61, -5.2, -0.25, -3.49, -1.89, -1.46, -2.14],
  ]
  static let stage: [[Float]] = [
    [-1.97, -4.02, -1.22, 1.59, 4.07, -0.98, -1.87],
    [-3.13, 2.11, 3.87, 0.84, -3.73, -3.11, 3.96],
    [0.29, -6.07, -1.33, -3.31, -2.78, -0.52, -1.57],
  ]
  static let next = [2, 6, 0]

  static func near(_ x: Double, _ y: Double) -> Bool { abs(x - y) < 1e-6 * max(1, abs(y)) }

  static func metrics(_ rows: Range<Int>) -> LogitMetrics {
    var result = LogitMetrics()
    for row in rows { result.add(stage: stage[row], original: original[row], next: next[row]) }
    return result
  }

  @Test func logits() {
    let metrics = Self.metrics(0..<3)
    #expect(metrics.positionCount == 3)
    #expect(Self.near(metrics.perplexity, 9.532184989849318))
    #expect(Self.near(metrics.meanLoss, 2.2546739662921262))
    #expect(Self.near(metrics.meanDivergence, 0.08314029804288513))
    #expect(Self.near(metrics.maximumDivergence, 0.1737063409438835))
    // Row 1 prefers another token; rows 0 and 1 share four and five of their five largest.
    #expect(Self.near(metrics.topAgreement, 2.0 / 3))
    #expect(Self.near(metrics.topFiveAgreement, 2.8 / 3))
    #expect(Self.near(metrics.meanError, 0.5428571428571429))
    #expect(Self.near(metrics.maximumError, 1.31))
  }

  @Test func partsAddUp() {
    var sum = Self.metrics(0..<1)
    sum.add(Self.metrics(1..<3))
    #expect(Self.near(sum.perplexity, Self.metrics(0..<3).perplexity))
    #expect(sum.positionCount == 3 && Self.near(sum.maximumError, 1.31))
  }

  @Test func theOriginalAgreesWithItself() {
    var metrics = LogitMetrics()
    for row in Self.original { metrics.add(stage: row, original: row, next: 0) }
    #expect(metrics.topAgreement == 1 && metrics.topFiveAgreement == 1)
    #expect(metrics.meanError == 0 && abs(metrics.meanDivergence) < 1e-12)
  }

  /// Logits as a broken conversion gives them must not look good.
  @Test func whatIsNotANumberIsNotAccurate() {
    var metrics = LogitMetrics()
    metrics.add(stage: [.nan, 1], original: [0, 1], next: 0)
    #expect(metrics.perplexity.isNaN && metrics.meanError.isNaN)
  }

  @Test func correlations() throws {
    let x: [Double] = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5]
    let y: [Double] = [2, 7, 1, 8, 2, 8, 1, 8, 2, 8, 4]
    #expect(Correlation.ranks(x) == [4.5, 1.5, 6, 1.5, 8, 11, 3, 10, 8, 4.5, 8])
    #expect(Correlation.ranks(y) == [4, 7, 1.5, 9.5, 4, 9.5, 1.5, 9.5, 4, 9.5, 6])
    #expect(Self.near(try #require(Correlation.pearson(x, y)), 0.09422924859897794))
    #expect(Self.near(try #require(Correlation.spearman(x, y)), 0.1384567651467695))
    // Ranks know order only.
    let grown = [1.0, 2, 3, 4].map { $0 * $0 * $0 }
    #expect(Correlation.spearman([1, 2, 3, 4], grown) == 1)
    #expect(Correlation.spearman([4, 3, 2, 1], grown) == -1)
    #expect(Correlation.pearson([1], [2]) == nil)
    #expect(Correlation.spearman([1, 2], [3, 3]) == nil)
  }

  @Test func embeddings() {
    let original: [Float] = [
      -2.0, 0.27, -1.1, 0.03, 0.04, -1.99, -0.23, -0.26, 0.96, -1.18, 0.74, -1.1,
    ]
    let stage: [Float] = [
      -2.03, 0.19, -0.96, 0.09, 0.28, -1.93, -0.15, -0.18, 0.9, -1.19, 0.88, -1.14,
    ]
    var mean = EmbeddingMetrics()
    mean.add(stage: stage, original: original, width: 4, pooling: .mean)
    #expect(Self.near(mean.meanCosine, 0.9931463975859909))
    #expect(mean.minimumCosine == mean.meanCosine)
    #expect(Self.near(mean.meanError, 0.085) && Self.near(mean.maximumError, 0.24))
    var first = EmbeddingMetrics()
    first.add(stage: stage, original: original, width: 4, pooling: .first)
    #expect(Self.near(first.meanCosine, 0.9972390938130437))
    first.add(mean)
    #expect(first.textCount == 2 && Self.near(first.minimumCosine, 0.9931463975859909))
    #expect(first.topAgreement == nil)
  }

  /// Rows whose largest score is the original's, the first of equal ones.
  @Test func classes() {
    var metrics = EmbeddingMetrics()
    metrics.add(
      stage: [1, 2, 0, 3, 3, 1, -1, -2, -3], original: [0, 5, 1, 2, 1, 0, -3, -2, -1], width: 3,
      pooling: .mean, output: .tokenClasses)
    #expect(metrics.topAgreement.map { Self.near($0, 2.0 / 3) } == true)
    metrics.add(
      stage: [1, 0, 0], original: [2, 1, 1], width: 3, pooling: .mean, output: .classes)
    #expect(metrics.topAgreement == 0.75)
    // One score of a regression is no choice.
    var regression = EmbeddingMetrics()
    regression.add(stage: [1], original: [2], width: 1, pooling: .mean, output: .classes)
    #expect(regression.topAgreement == nil && regression.maximumError == 1)
  }

  @Test func histograms() {
    var histogram = ValueHistogram(range: 0...8, binCount: 4)
    for value in [0, 1.9, 2, 8, -1, 9, .infinity] { histogram.add(value) }
    #expect(histogram.counts == [2, 1, 0, 1])
    #expect(histogram.belowCount == 1 && histogram.aboveCount == 2 && histogram.total == 7)
    #expect(histogram.seen == -1...9)
    var powers = ValueHistogram(range: 1...16, binCount: 4, isLogarithmic: true)
    for value in [1, 1.9, 2.1, 4.1, 15] { powers.add(value) }
    #expect(powers.counts == [2, 1, 1, 1])
    #expect(zip(powers.borders, [1, 2, 4, 8, 16]).allSatisfy { Self.near($0, $1) })
  }
}
