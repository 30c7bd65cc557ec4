// How far one stage's hidden states and sentence embeddings are from the original encoder's.

/// Sums over texts, so that parts of an evaluation can be added up.
public struct EmbeddingMetrics: Equatable, Sendable {
  public private(set) var textCount = 0
  private var cosine = 0.0
  private var absoluteError = 0.0
  private var elementCount = 0
  /// Smallest cosine of a text's embedding with the original's.
  public private(set) var minimumCosine = 1.0
  /// max |stage - original| of all elements of the last hidden states.
  public private(set) var maximumError = 0.0

  public init() {}

  /// Mean cosine of a text's embedding with the original's.
  public var meanCosine: Double { cosine / Double(max(textCount, 1)) }
  /// Mean |stage - original| of all elements of the last hidden states.
  public var meanError: Double { absoluteError / Double(max(elementCount, 1)) }

  /// Adds one text: its hidden states [positions, width] in both.
  public mutating func add(stage: [Float], original: [Float], width: Int, pooling: Pooling) {
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
  }

  /// Adds what another part of the evaluation gave.
  public mutating func add(_ other: EmbeddingMetrics) {
    textCount += other.textCount
    cosine += other.cosine
    absoluteError += other.absoluteError
    elementCount += other.elementCount
    minimumCosine = min(minimumCosine, other.minimumCosine)
    maximumError = max(maximumError, other.maximumError)
  }
}
