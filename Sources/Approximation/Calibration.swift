// Ranges of a model's values on real text, from which scales and compared bits are chosen.

public import Bytes

/// What was observed of one model node.
public enum ObservedQuantity: String, Sendable, CaseIterable {
  /// Every element that the node writes.
  case output
  /// Per-row variance (without epsilon) of a normalisation's input.
  case variance
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
  public var textCount: Int
  public var tokenCount: Int

  public init() {
    ranges = [:]
    histograms = [:]
    textCount = 0
    tokenCount = 0
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
    guard var low = values.first else { return }
    var high = low
    for value in values {
      low = min(low, value)
      high = max(high, value)
    }
    include(Double(low)...Double(high), node: node, quantity: quantity)
    histograms[node, default: [:]][quantity, default: Histogram()].add(values)
  }

  /// Adds a histogram that was read from a file.
  public mutating func include(_ histogram: Histogram, node: String, quantity: ObservedQuantity) {
    histograms[node, default: [:]][quantity, default: Histogram()].merge(histogram)
  }

  /// Adds what was observed of the same model on other texts.
  public mutating func merge(_ other: Calibration) {
    for (node, quantities) in other.ranges {
      for (quantity, range) in quantities { include(range, node: node, quantity: quantity) }
    }
    for (node, quantities) in other.histograms {
      for (quantity, histogram) in quantities {
        include(histogram, node: node, quantity: quantity)
      }
    }
    textCount += other.textCount
    tokenCount += other.tokenCount
  }

  /// Widens all ranges to include those of another run of the same texts.
  public mutating func include(rangesOf other: Calibration) {
    for (node, quantities) in other.ranges {
      for (quantity, range) in quantities { include(range, node: node, quantity: quantity) }
    }
  }

  public func range(_ node: String, _ quantity: ObservedQuantity) throws(InputError)
    -> ClosedRange<Double>
  {
    guard let range = ranges[node]?[quantity] else {
      throw InputError(
        "calibration", place: node, "no \(quantity.rawValue) was observed",
        hint: "calibrate this model with `lodge-model approximate`")
    }
    return range
  }

  /// Largest absolute value.
  public func bound(_ node: String, _ quantity: ObservedQuantity = .output) throws(InputError)
    -> Double
  {
    let range = try range(node, quantity)
    return max(abs(range.lowerBound), abs(range.upperBound))
  }

  /// The variances (mean squares of an `rmsNorm`, without epsilon) that a normalisation is made
  /// for: those seen, widened by `headroom` at both ends, positive, and at least an octave.
  public func normalisedRange(_ node: String, headroom: Double) throws(InputError)
    -> ClosedRange<Double>
  {
    let seen = try range(node, .variance)
    let low = max(seen.lowerBound, 1e-9) / headroom
    return low...max(seen.upperBound * headroom, 2 * low)
  }
}

extension Calibration {
  public var json: JSON {
    let nodes = ranges.mapValues { quantities in
      JSON.object(
        Dictionary(
          uniqueKeysWithValues: quantities.map { quantity, range in
            (quantity.rawValue, [.number(range.lowerBound), .number(range.upperBound)])
          }))
    }
    return [
      "textCount": .integer(textCount), "tokenCount": .integer(tokenCount),
      "ranges": .object(nodes),
    ]
  }

  public init(json: JSON, source: String) throws(InputError) {
    self.init()
    var reader = try JSONReader(json, source: source, place: "calibration")
    textCount = try reader.integer("textCount")
    tokenCount = try reader.integer("tokenCount")
    let place = reader.path("ranges")
    guard case .object(let nodes) = try reader.value("ranges") else {
      throw InputError(source, place: place, "expected an object")
    }
    try reader.finish()
    for (node, value) in nodes {
      var quantities = try JSONReader(value, source: source, place: "\(place).\(node)")
      for quantity in ObservedQuantity.allCases {
        guard let pair = quantities.optional(quantity.rawValue) else { continue }
        guard case .array(let elements) = pair, elements.count == 2,
          let low = elements[0].double, let high = elements[1].double, low <= high
        else { throw quantities.failure(quantity.rawValue, "expected [minimum, maximum]") }
        include(low...high, node: node, quantity: quantity)
      }
      try quantities.finish()
    }
  }
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
