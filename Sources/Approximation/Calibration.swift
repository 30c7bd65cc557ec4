// Ranges of a model's values on real text, from which scales and compared bits are chosen.

public import Bytes
import Models

/// What was observed of one model node.
public enum ObservedQuantity: String, Sendable, CaseIterable {
  /// Every element that the node writes.
  case output
  /// Per-row variance (without epsilon) of a normalisation's input.
  case variance
  /// The same of rows that have any.
  case nonzeroVariance
  /// Scaled attention scores, masked positions left out; soft-capped and biased where they are.
  case scores
  /// Scaled attention scores before a soft cap, where there is one.
  case uncappedScores
  /// Attention scores after subtracting the maximum of their row.
  case centredScores
  /// Sums of the exponentials of a row's centred scores, what softmax divides by.
  case denominator
}

/// Smallest and largest value of each observed quantity of each node, and how its values were
/// distributed.
public struct Calibration: Equatable, Sendable {
  /// Keyed by node name, then quantity.
  public private(set) var ranges: [String: [ObservedQuantity: ClosedRange<Double>]]
  /// The same keys, as far as values and not only ranges were observed.
  public private(set) var histograms: [String: [ObservedQuantity: Histogram]]
  /// What rows of the vocabulary gave whether the text has them or not, by the same keys.
  public private(set) var vocabularyRanges: [String: [ObservedQuantity: ClosedRange<Double>]]
  /// By attention node and head, the largest score of a row: that of the row where it is smallest and
  /// where it is largest.
  public private(set) var rowMaxima: [String: [ClosedRange<Double>]]
  /// By attention node and head, the largest score that any two tokens have, whether the text has
  /// them or not: of the first attention, whose scores depend on nothing else.
  public private(set) var pairScores: [String: [Double]] = [:]
  /// By node of gates, how many blocks run.
  public private(set) var blocks: [String: BlockStatistics] = [:]
  /// Of the model's weights, as far as they were at hand; see `statistics(of:columnScale:)`.
  public var weights: [String: WeightStatistics]
  /// How uneven the channels are that linear nodes write, by node, of those that are; see
  /// `ChannelSizes.unevenness`. Files do not hold it.
  public var unevenChannels: [String: Double] = [:]
  public var textCount: Int
  public var tokenCount: Int
  /// Tokens of the longest text.
  public var longestText: Int
  /// The distinct tokens of all texts.
  public var seenTokens: Set<Int>

  public init() {
    ranges = [:]
    histograms = [:]
    vocabularyRanges = [:]
    rowMaxima = [:]
    weights = [:]
    textCount = 0
    tokenCount = 0
    longestText = 0
    seenTokens = []
  }

  /// Widens the range of `quantity` at `node` to include `range`.
  public mutating func include(
    _ range: ClosedRange<Double>, node: String, quantity: ObservedQuantity
  ) {
    let old = ranges[node, default: [:]][quantity] ?? range
    ranges[node, default: [:]][quantity] =
      min(old.lowerBound, range.lowerBound)...max(old.upperBound, range.upperBound)
  }

  /// Counts `values`, which are finite, of `quantity` at `node`.
  public mutating func include(_ values: [Float], node: String, quantity: ObservedQuantity) {
    guard let range = FloatMatrix.range(of: values) else { return }
    include(
      Double(range.lowerBound)...Double(range.upperBound), node: node, quantity: quantity)
    if quantity == .variance, let nonzero = Calibration.nonzeroRange(of: values) {
      include(nonzero, node: node, quantity: .nonzeroVariance)
    }
    histograms[node, default: [:]][quantity, default: Histogram()].add(values)
  }

  /// Rows of one number have up to this variance in float.
  private static let zeroVariance = 0x1p-90

  /// Smallest and largest of `values` that are more than float's rounding of zero.
  static func nonzeroRange(of values: [Float]) -> ClosedRange<Double>? {
    FloatMatrix.range(of: values.filter { Double($0) > zeroVariance }).map {
      Double($0.lowerBound)...Double($0.upperBound)
    }
  }

  /// Widens the range of rows of the vocabulary to include `range`.
  public mutating func include(
    vocabulary range: ClosedRange<Double>, node: String, quantity: ObservedQuantity
  ) {
    let old = vocabularyRanges[node, default: [:]][quantity] ?? range
    vocabularyRanges[node, default: [:]][quantity] =
      min(old.lowerBound, range.lowerBound)...max(old.upperBound, range.upperBound)
  }

  /// Widens the row maxima of the heads of `node` to include `maxima`, one range a head.
  public mutating func include(rowMaxima maxima: [ClosedRange<Double>], node: String) {
    guard let old = rowMaxima[node], old.count == maxima.count else {
      rowMaxima[node] = maxima
      return
    }
    rowMaxima[node] = zip(old, maxima).map {
      min($0.lowerBound, $1.lowerBound)...max($0.upperBound, $1.upperBound)
    }
  }

  /// Widens the largest scores of two tokens in the heads of `node`.
  public mutating func include(pairScores scores: [Double], node: String) {
    let old = pairScores[node] ?? scores
    pairScores[node] = old.count == scores.count ? zip(old, scores).map { max($0, $1) } : scores
  }

  /// Counts the running blocks of rows of bits at `node`.
  public mutating func include(bits: [Float], blockCount: Int, node: String) {
    blocks[node, default: BlockStatistics()].include(bits, blockCount: blockCount)
  }

  /// Adds counts that were read from a file.
  mutating func include(_ statistics: BlockStatistics, node: String) {
    blocks[node, default: BlockStatistics()].merge(statistics)
  }

  /// Adds a histogram that was read from a file.
  public mutating func include(_ histogram: Histogram, node: String, quantity: ObservedQuantity) {
    histograms[node, default: [:]][quantity, default: Histogram()].merge(histogram)
  }

  /// Adds what was observed of the same model on other texts.
  public mutating func merge(_ other: Calibration) {
    include(rangesOf: other)
    for (node, quantities) in other.histograms {
      for (quantity, histogram) in quantities {
        include(histogram, node: node, quantity: quantity)
      }
    }
    for (node, statistics) in other.blocks { include(statistics, node: node) }
    textCount += other.textCount
    tokenCount += other.tokenCount
    longestText = max(longestText, other.longestText)
    seenTokens.formUnion(other.seenTokens)
  }

  /// Widens all ranges to include those of another run of the same texts.
  public mutating func include(rangesOf other: Calibration) {
    for (node, quantities) in other.ranges {
      for (quantity, range) in quantities { include(range, node: node, quantity: quantity) }
    }
    for (node, maxima) in other.rowMaxima { include(rowMaxima: maxima, node: node) }
    for (node, scores) in other.pairScores { include(pairScores: scores, node: node) }
    for (node, quantities) in other.vocabularyRanges {
      for (quantity, range) in quantities {
        include(vocabulary: range, node: node, quantity: quantity)
      }
    }
  }

  /// What texts and rows of the vocabulary gave together.
  /// - Throws: `InputError` where no text gave any.
  public func range(_ node: String, _ quantity: ObservedQuantity) throws(InputError)
    -> ClosedRange<Double>
  {
    guard let range = ranges[node]?[quantity] else {
      throw InputError(
        "calibration", place: node, "no \(quantity.rawValue) was observed",
        hint: "calibrate this model with `lodge-model approximate`")
    }
    guard let rows = vocabularyRanges[node]?[quantity] else { return range }
    return min(range.lowerBound, rows.lowerBound)...max(range.upperBound, rows.upperBound)
  }

  /// Largest absolute value.
  public func bound(_ node: String, _ quantity: ObservedQuantity = .output) throws(InputError)
    -> Double
  {
    let range = try range(node, quantity)
    return max(abs(range.lowerBound), abs(range.upperBound))
  }

  /// What a normalisation divides by the root of: variances (mean squares of an `rmsNorm`) plus
  /// `epsilon`, those seen widened by `headroom` at both ends, and at least an octave.
  ///
  /// Epsilon bounds them below: rows of zeros are as good as any others. Where it lies further below
  /// the largest than a table reaches, the range begins at the smallest variance of a row that has
  /// any: what is zero stays zero whatever it is divided by.
  public func normalisedRange(_ node: String, epsilon: Double, headroom: Double)
    throws(InputError) -> ClosedRange<Double>
  {
    let seen = try range(node, .variance)
    let high = seen.upperBound * headroom + epsilon
    func low(_ smallest: Double) -> Double {
      let margin = max(smallest, 0) / headroom
      // Where that costs little, the range begins at epsilon, below which there is nothing.
      return max(margin < epsilon / 4 ? epsilon : margin + epsilon, 1e-300)
    }
    var least = low(seen.lowerBound)
    if seen.lowerBound <= Calibration.zeroVariance, high / least > Calibration.tableReach,
      let nonzero = try? range(node, .nonzeroVariance)
    {
      least = low(nonzero.lowerBound)
    }
    return least...max(high, 2 * least)
  }

  /// Whether the range of normalisation `node` leaves out rows of zeros that were seen.
  public func leavesOutZeros(_ node: String, epsilon: Double, headroom: Double) -> Bool {
    guard let seen = try? range(node, .variance), seen.lowerBound <= Calibration.zeroVariance,
      let range = try? normalisedRange(node, epsilon: epsilon, headroom: headroom)
    else { return false }
    return range.lowerBound > epsilon
  }

  /// The largest quotient of the ends of a range for which a table of roots is as precise as others.
  public static let tableReach = 0x1p28
}

extension JSON {
  /// The value of a number of either kind, or nil.
  public var double: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }
}
