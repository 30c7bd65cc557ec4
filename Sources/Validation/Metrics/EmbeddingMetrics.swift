// How far one stage's outputs are from the original encoder's: states and embeddings, or scores.

public import Models

/// Sums over texts, so that parts of an evaluation can be added up.
public struct EmbeddingMetrics: Equatable, Sendable {
  public private(set) var textCount = 0
  private var cosine = 0.0
  private var absoluteError = 0.0
  private var elementCount = 0
  /// Smallest cosine of a text's embedding with the original's.
  public private(set) var minimumCosine = 1.0
  private var rowCount = 0
  private var largestAgreements = 0
  /// max |stage - original| of all elements of the output.
  public private(set) var maximumError = 0.0

  public init() {}

  /// Mean cosine of a text's embedding with the original's.
  public var meanCosine: Double { cosine / Double(max(textCount, 1)) }
  /// Mean |stage - original| of all elements of the output.
  public var meanError: Double { absoluteError / Double(max(elementCount, 1)) }

  /// Share of rows whose largest score is the original's (the first of equal ones); nil where rows
  /// are no scores, or one of a regression.
  public var topAgreement: Double? {
    rowCount == 0 ? nil : Double(largestAgreements) / Double(rowCount)
  }

  /// Adds one text: its output [rows, width] in both.
  public mutating func add(
    stage: [Float], original: [Float], width: Int, pooling: Pooling, output: ModelOutput = .states
  ) {
    precondition(stage.count == original.count, "both have the same positions")
    let similarity = CosineSimilarity.of(
      pooling.embedding(stage, width: width), pooling.embedding(original, width: width))
    textCount += 1
    cosine += similarity
    minimumCosine = min(minimumCosine, similarity)
    for (x, y) in zip(original, stage) {
      let error = abs(Double(y) - Double(x))
      absoluteError += error
      maximumError = max(maximumError, error)
    }
    elementCount += stage.count
    guard output.isScores, width > 1 else { return }
    for start in stride(from: 0, to: stage.count, by: width) {
      let largest = [stage, original].map { $0[start..<start + width] }.map { row in
        row.indices.max { row[$0] < row[$1] || (row[$0] == row[$1] && $0 > $1) }
      }
      rowCount += 1
      if largest[0] == largest[1] { largestAgreements += 1 }
    }
  }

  /// Adds what another part of the evaluation gave.
  public mutating func add(_ other: EmbeddingMetrics) {
    textCount += other.textCount
    cosine += other.cosine
    absoluteError += other.absoluteError
    elementCount += other.elementCount
    rowCount += other.rowCount
    largestAgreements += other.largestAgreements
    minimumCosine = min(minimumCosine, other.minimumCosine)
    maximumError = max(maximumError, other.maximumError)
  }
}
