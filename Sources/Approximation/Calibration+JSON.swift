// The stored form of a calibration without its histograms; `formats/bundle.md` specifies it.

public import Bytes

extension Calibration {
  private typealias Ranges = [String: [ObservedQuantity: ClosedRange<Double>]]

  public var json: JSON {
    var members: [String: JSON] = [
      "textCount": .integer(textCount), "tokenCount": .integer(tokenCount),
      "longestText": .integer(longestText),
      "seenTokens": .array(seenTokens.sorted().map(JSON.integer)),
      "ranges": Calibration.json(ranges), "vocabularyRanges": Calibration.json(vocabularyRanges),
      "weights": .object(
        weights.mapValues { [.number($0.largest), .number($0.rootMeanSquare)] }),
    ]
    if !rowMaxima.isEmpty {
      members["rowMaxima"] = .object(
        rowMaxima.mapValues { heads in
          .array(heads.map { [.number($0.lowerBound), .number($0.upperBound)] })
        })
    }
    if !pairScores.isEmpty {
      members["pairScores"] = .object(pairScores.mapValues { .array($0.map(JSON.number)) })
    }
    if !blocks.isEmpty {
      members["blocks"] = .object(
        blocks.mapValues { .array($0.numbers.map(JSON.integer)) })
    }
    return .object(members)
  }

  private static func json(_ ranges: Ranges) -> JSON {
    .object(
      ranges.mapValues { quantities in
        .object(
          Dictionary(
            uniqueKeysWithValues: quantities.filter { quantity, range in
              quantity != .nonzeroVariance || range != quantities[.variance]
            }.map { quantity, range in
              (quantity.rawValue, [.number(range.lowerBound), .number(range.upperBound)])
            }))
      })
  }

  public init(json: JSON, source: String) throws(InputError) {
    self.init()
    var reader = try JSONReader(json, source: source, place: "calibration")
    textCount = try reader.integer("textCount")
    tokenCount = try reader.integer("tokenCount")
    // Files of earlier versions tell nothing of these.
    if reader.contains("longestText") { longestText = try reader.integer("longestText") }
    if reader.contains("seenTokens") { seenTokens = Set(try reader.integers("seenTokens")) }
    let seen = try Calibration.ranges(&reader, "ranges")
    let rows =
      reader.contains("vocabularyRanges")
      ? try Calibration.ranges(&reader, "vocabularyRanges") : [:]
    if reader.contains("rowMaxima") {
      for (node, maxima) in try Calibration.rowMaxima(&reader) {
        include(rowMaxima: maxima, node: node)
      }
    }
    if reader.contains("pairScores") {
      for (node, scores) in try Calibration.pairScores(&reader) {
        include(pairScores: scores, node: node)
      }
    }
    if reader.contains("blocks") {
      guard case .object(let nodes) = try reader.value("blocks") else {
        throw reader.failure("blocks", "expected an object")
      }
      for (node, value) in nodes {
        var numbers: [Int] = []
        if case .array(let elements) = value {
          for case .integer(let number) in elements { numbers.append(number) }
        }
        guard let statistics = BlockStatistics(numbers: numbers) else {
          throw reader.failure("blocks.\(node)", "expected \(BlockStatistics.numberCount) counts")
        }
        include(statistics, node: node)
      }
    }
    if reader.contains("weights") { weights = try Calibration.weights(&reader) }
    try reader.finish()
    for (node, quantities) in seen {
      for (quantity, range) in quantities { include(range, node: node, quantity: quantity) }
    }
    for (node, quantities) in rows {
      for (quantity, range) in quantities {
        include(vocabulary: range, node: node, quantity: quantity)
      }
    }
  }

  private static func ranges(_ reader: inout JSONReader, _ key: String) throws(InputError)
    -> Ranges
  {
    let place = reader.path(key)
    guard case .object(let nodes) = try reader.value(key) else {
      throw InputError(reader.source, place: place, "expected an object")
    }
    var result: Ranges = [:]
    for (node, value) in nodes {
      var quantities = try JSONReader(value, source: reader.source, place: "\(place).\(node)")
      for quantity in ObservedQuantity.allCases {
        guard let pair = quantities.optional(quantity.rawValue) else { continue }
        guard case .array(let elements) = pair, elements.count == 2,
          let low = elements[0].double, let high = elements[1].double, low <= high
        else { throw quantities.failure(quantity.rawValue, "expected [minimum, maximum]") }
        result[node, default: [:]][quantity] = low...high
      }
      try quantities.finish()
      // Named only where it is another.
      if let all = result[node]?[.variance], result[node]?[.nonzeroVariance] == nil,
        all.lowerBound > 0
      {
        result[node]?[.nonzeroVariance] = all
      }
    }
    return result
  }

  private static func rowMaxima(_ reader: inout JSONReader) throws(InputError)
    -> [String: [ClosedRange<Double>]]
  {
    guard case .object(let nodes) = try reader.value("rowMaxima") else {
      throw reader.failure("rowMaxima", "expected an object")
    }
    var result: [String: [ClosedRange<Double>]] = [:]
    for (node, value) in nodes {
      let failure = reader.failure("rowMaxima.\(node)", "expected [minimum, maximum] of each head")
      guard case .array(let heads) = value else { throw failure }
      for head in heads {
        guard case .array(let pair) = head, pair.count == 2, let low = pair[0].double,
          let high = pair[1].double, low <= high
        else { throw failure }
        result[node, default: []].append(low...high)
      }
    }
    return result
  }

  private static func pairScores(_ reader: inout JSONReader) throws(InputError)
    -> [String: [Double]]
  {
    guard case .object(let nodes) = try reader.value("pairScores") else {
      throw reader.failure("pairScores", "expected an object")
    }
    var result: [String: [Double]] = [:]
    for (node, value) in nodes {
      guard case .array(let heads) = value, case let scores = heads.compactMap(\.double),
        scores.count == heads.count, !heads.isEmpty, scores.allSatisfy(\.isFinite)
      else { throw reader.failure("pairScores.\(node)", "expected a score of each head") }
      result[node] = scores
    }
    return result
  }

  private static func weights(_ reader: inout JSONReader) throws(InputError)
    -> [String: WeightStatistics]
  {
    guard case .object(let members) = try reader.value("weights") else {
      throw reader.failure("weights", "expected an object")
    }
    var result: [String: WeightStatistics] = [:]
    for (name, value) in members {
      guard case .array(let elements) = value, elements.count == 2,
        let largest = elements[0].double, let mean = elements[1].double,
        0 <= mean, mean <= largest * (1 + 1e-6), largest.isFinite
      else { throw reader.failure("weights.\(name)", "expected [largest, root mean square]") }
      result[name] = WeightStatistics(largest: largest, rootMeanSquare: mean)
    }
    return result
  }
}
