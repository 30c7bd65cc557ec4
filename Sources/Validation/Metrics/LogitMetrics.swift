// How far one stage's logits are from the original model's, over positions of a text.

import Foundation

/// Sums over positions, so that parts of an evaluation can be added up in any grouping.
public struct LogitMetrics: Equatable, Sendable {
  /// Positions whose logits were compared, each with the token that follows it.
  public private(set) var positionCount = 0
  private var loss = 0.0
  private var largestAgreements = 0
  private var sharedLargest = 0.0
  private var divergence = 0.0
  private var absoluteError = 0.0
  private var elementCount = 0
  /// max KL(original || stage), in nats.
  public private(set) var maximumDivergence = 0.0
  /// max |stage - original| of all logits.
  public private(set) var maximumError = 0.0

  /// How many of the most likely tokens `largestOverlap` looks at.
  public static let overlapCount = 5

  public init() {}

  /// exp of the mean of -ln p(next token), p the stage's softmax.
  public var perplexity: Double { exp(mean(loss)) }
  /// Mean of -ln p(next token), in nats.
  public var meanLoss: Double { mean(loss) }
  /// Share of positions whose most likely token is the original's (the first of equal ones).
  public var topAgreement: Double { mean(Double(largestAgreements)) }
  /// Mean share of the original's five most likely tokens that are among the stage's five.
  public var topFiveAgreement: Double { mean(sharedLargest) }
  /// Mean over positions of KL(original || stage), in nats.
  public var meanDivergence: Double { mean(divergence) }
  /// Mean |stage - original| of all logits.
  public var meanError: Double { absoluteError / Double(max(elementCount, 1)) }

  private func mean(_ sum: Double) -> Double { sum / Double(max(positionCount, 1)) }

  /// Adds one position: its logits in both, and the token that follows.
  public mutating func add(
    stage: some RandomAccessCollection<Float>, original: some RandomAccessCollection<Float>,
    next: Int
  ) {
    let stage = Array(stage)
    let original = Array(original)
    precondition(stage.count == original.count && stage.indices.contains(next))
    let stageNorm = LogitMetrics.logSumExp(stage)
    let originalNorm = LogitMetrics.logSumExp(original)
    positionCount += 1
    elementCount += stage.count
    loss += stageNorm - Double(stage[next])
    var sum = 0.0
    for index in stage.indices {
      let (x, y) = (Double(original[index]), Double(stage[index]))
      let error = abs(y - x)
      absoluteError += error
      maximumError = max(maximumError, error)
      sum += exp(x - originalNorm) * (x - originalNorm - y + stageNorm)
    }
    // Rounding may leave a divergence of nothing a little below zero.
    divergence += max(sum, 0)
    maximumDivergence = max(maximumDivergence, sum)
    let stageLargest = LogitMetrics.largest(stage)
    let originalLargest = LogitMetrics.largest(original)
    if stageLargest.first == originalLargest.first { largestAgreements += 1 }
    let shared = originalLargest.filter(stageLargest.contains).count
    sharedLargest += Double(shared) / Double(originalLargest.count)
  }

  /// Adds what another part of the evaluation gave.
  public mutating func add(_ other: LogitMetrics) {
    positionCount += other.positionCount
    loss += other.loss
    largestAgreements += other.largestAgreements
    sharedLargest += other.sharedLargest
    divergence += other.divergence
    absoluteError += other.absoluteError
    elementCount += other.elementCount
    maximumDivergence = max(maximumDivergence, other.maximumDivergence)
    maximumError = max(maximumError, other.maximumError)
  }

  /// ln of the sum of exp(logit).
  static func logSumExp(_ logits: [Float]) -> Double {
    let largest = Double(logits.max() ?? 0)
    return largest + log(logits.reduce(0.0) { $0 + exp(Double($1) - largest) })
  }

  /// Indices of the five largest logits, largest first, the first of equal ones first.
  static func largest(_ logits: [Float]) -> [Int] {
    var best: [Int] = []
    for index in logits.indices {
      if best.count == overlapCount, logits[index] <= logits[best[overlapCount - 1]] { continue }
      let place = best.firstIndex { logits[$0] < logits[index] } ?? best.count
      best.insert(index, at: place)
      if best.count > overlapCount { best.removeLast() }
    }
    return best
  }
}
