// What a conversion may be required to keep, and whether it did.

public import Bytes
import Models

/// A figure of an evaluation that may be limited; the raw value is its key in threshold files.
///
/// All but `minHeadroomBits` and `maxOutsideShare` are about stage `ring` against `original`.
public enum Criterion: String, Sendable, CaseIterable {
  case maxPerplexityIncrease
  case minTop1
  case minTop5
  case maxMeanDivergence
  case maxMeanLogitError
  case maxLogitError
  case minCosine
  case minSpearman
  case maxSpearmanDrop
  case maxFixedPointError
  case minHeadroomBits
  case maxOutsideShare

  /// The option of `lodge-check validate`, without its dashes: "max-perplexity-increase".
  public var option: String {
    rawValue.reduce(into: "") { result, letter in
      result += letter.isUppercase ? "-\(letter.lowercased())" : String(letter)
    }
  }

  /// What is limited, in words.
  public var title: String {
    switch self {
    case .maxPerplexityIncrease: "perplexity increase"
    case .minTop1: "top-1 agreement"
    case .minTop5: "top-5 agreement"
    case .maxMeanDivergence: "mean KL divergence"
    case .maxMeanLogitError: "mean error of the output"
    case .maxLogitError: "largest error of the output"
    case .minCosine: "smallest cosine"
    case .minSpearman: "Spearman correlation"
    case .maxSpearmanDrop: "drop of the Spearman correlation"
    case .maxFixedPointError: "mean error of fixed point against replacements in float"
    case .minHeadroomBits: "headroom in bits"
    case .maxOutsideShare: "share of inputs outside a replacement's range"
    }
  }

  /// One line for help texts.
  public var help: String {
    switch self {
    case .maxPerplexityIncrease: "relative increase of the perplexity, such as 0.005"
    case .minTop1: "share of positions whose most likely token, or class, is the original's"
    case .minTop5: "shared part of the five most likely tokens"
    case .maxMeanDivergence: "mean KL divergence from the original in nats"
    case .maxMeanLogitError: "mean absolute error of scores or hidden states"
    case .maxLogitError: "largest absolute error of scores or hidden states"
    case .minCosine: "cosine of every sentence embedding with the original's"
    case .minSpearman: "Spearman correlation of the pairs' cosines with their scores"
    case .maxSpearmanDrop: "how much lower than the original's that may be"
    case .maxFixedPointError: "mean error of fixed point against replacements in float"
    case .minHeadroomBits: "bits that every value leaves below 2^62"
    case .maxOutsideShare: "share of inputs outside a replacement's valid range"
    }
  }

  var isMinimum: Bool {
    switch self {
    case .minTop1, .minTop5, .minCosine, .minSpearman, .minHeadroomBits: true
    default: false
    }
  }

  /// Limits that make sense.
  public var allowed: ClosedRange<Double> {
    switch self {
    case .minTop1, .minTop5, .maxOutsideShare: 0...1
    case .minCosine, .minSpearman: -1...1
    case .maxSpearmanDrop: 0...2
    case .minHeadroomBits: 0...62
    case .maxPerplexityIncrease, .maxMeanDivergence, .maxMeanLogitError, .maxLogitError,
      .maxFixedPointError:
      0...1e9
    }
  }

  /// The figure, or why there is none.
  func value(in result: EvaluationResult) -> Result<Double, InputError> {
    func need(_ value: Double?, _ cause: String) -> Result<Double, InputError> {
      value.map { .success($0) } ?? .failure(InputError(rawValue, cause))
    }
    let logits = result.logits[.ring]
    let embeddings = result.embeddings[.ring]
    let noPairs = "needs scored pairs and an encoder (--pairs)"
    switch self {
    case .maxPerplexityIncrease:
      return need(result.perplexityIncrease(.ring), "an encoder has no perplexity")
    case .minTop1:
      return need(
        logits?.topAgreement ?? embeddings?.topAgreement,
        "an encoder without scores chooses no tokens or classes")
    case .minTop5: return need(logits?.topFiveAgreement, "an encoder chooses no tokens")
    case .maxMeanDivergence: return need(logits?.meanDivergence, "an encoder has no distribution")
    case .maxMeanLogitError: return .success(logits?.meanError ?? embeddings?.meanError ?? .nan)
    case .maxLogitError: return .success(logits?.maximumError ?? embeddings?.maximumError ?? .nan)
    case .minCosine: return need(embeddings?.minimumCosine, "a decoder has no sentence embeddings")
    case .minSpearman: return need(result.spearman(.ring), noPairs)
    case .maxSpearmanDrop:
      guard let original = result.spearman(.original), let ring = result.spearman(.ring) else {
        return need(nil, noPairs)
      }
      return .success(original - ring)
    case .maxFixedPointError: return .success(result.ringAgainstApproximated.mean)
    case .minHeadroomBits: return .success(Double(result.headroom))
    case .maxOutsideShare: return .success(result.outsideShare)
    }
  }
}

/// Limits that an evaluation must keep.
public struct Thresholds: Equatable, Sendable {
  public var limits: [Criterion: Double] = [:]

  /// A limit that was not kept.
  public struct Miss: Equatable, Sendable {
    public var criterion: Criterion
    public var value: Double
    public var limit: Double

    public var text: String {
      "\(criterion.title) is \(Figure.text(value)), \(criterion.isMinimum ? "at least" : "at most") "
        + "\(Figure.text(limit)) is required"
    }
  }

  public init() {}

  /// Reads the limits in a JSON object; unknown keys are errors.
  public init(path: String) throws(InputError) {
    let json = try JSON.read(path)
    var reader = try JSONReader(json, source: path)
    guard case .object(let members) = json else { return }
    for criterion in Criterion.allCases where members[criterion.rawValue] != nil {
      let limit = try reader.number(criterion.rawValue)
      guard criterion.allowed.contains(limit) else {
        throw reader.failure(
          criterion.rawValue,
          "\(limit) is outside \(criterion.allowed.lowerBound)...\(criterion.allowed.upperBound)")
      }
      limits[criterion] = limit
    }
    try reader.finish()
  }

  /// The limits that `result` misses.
  /// - Throws: `InputError` for a limit on a figure that this evaluation does not have.
  public func misses(of result: EvaluationResult) throws(InputError) -> [Miss] {
    var misses: [Miss] = []
    for criterion in Criterion.allCases {
      guard let limit = limits[criterion] else { continue }
      let value = try criterion.value(in: result).get()
      // A figure that is not a number keeps no limit.
      let isKept = criterion.isMinimum ? value >= limit : value <= limit
      if !isKept { misses.append(Miss(criterion: criterion, value: value, limit: limit)) }
    }
    return misses
  }

  public var json: JSON {
    .object(
      Dictionary(uniqueKeysWithValues: limits.map { ($0.key.rawValue, .number($0.value)) }))
  }
}
