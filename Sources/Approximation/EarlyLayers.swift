// Tokens that are like others in the embedding and become far larger in the first layers.

import Bytes
import Models

extension Model {
  /// The residual stream behind the first few layers: large activations appear there, and stay.
  var earlyNode: Int? {
    let last = nodes.lastIndex { node in
      guard case .add = node.operation else { return false }
      return EarlyLayers.names.contains { node.name.hasPrefix($0) }
    }
    guard let last, !isPooled[last] else { return nil }
    return last
  }
}

enum EarlyLayers {
  static let names = (0..<4).map { "layers.\($0)." }
  /// Tokens that are run: with a few layers only, these cost as much as some text.
  static let tokenCount = 64
  /// Values this many times as large as any of the text are not covered by the usual headroom for long.
  static let far = 3.0
  /// Nats by which softmax leaves room above the largest score of a head.
  static let scoreMargin = 8.0

  /// `tokens`, ascending, or where they are more than `count` the first, the last, and as many
  /// between: tokens that stand for something else than text have the first ids or the last.
  static func chosen(_ tokens: [Int], count: Int = tokenCount) -> [Int] {
    guard tokens.count > count else { return tokens }
    let end = count / 4
    let middle = tokens.dropFirst(end).dropLast(end)
    let step = Double(middle.count) / Double(count - 2 * end)
    return tokens.prefix(end)
      + (0..<count - 2 * end).map { middle[middle.startIndex + Int(Double($0) * step)] }
      + tokens.suffix(end)
  }
}

extension Calibration {
  /// Tokens that no text has, each by itself through the first layers, whose residual stream is far
  /// larger than any text gave; the largest first.
  ///
  /// - Throws: `InputError` where a weight cannot be read.
  func massiveTokens(
    _ interpreter: FloatInterpreter, source: String,
    observe: FloatInterpreter.Observer? = nil
  ) throws(InputError) -> [(token: Int, magnitude: Double)] {
    let model = interpreter.model
    guard let node = model.earlyNode, let seen = magnitude(ranges, of: node, model) else {
      return []
    }
    var others = (0..<model.vocabularySize).filter { !seenTokens.contains($0) }
    if let markers = model.contextMarkers {
      others.removeAll { $0 == markers.startToken || markers.maskTokens.contains($0) }
    }
    let tokens = EarlyLayers.chosen(others)
    guard !tokens.isEmpty, tokens.count < model.vocabularySize else { return [] }
    var result: [(token: Int, magnitude: Double)] = []
    try interpreter.prefix(node + 1).run(
      texts: tokens.map { model.contextMarkers?.text(context: [$0]) ?? [$0] }, source: source,
      observe: observe,
      receive: { index, output in
        let magnitude = Double(output.values.reduce(0) { max($0, abs($1)) })
        if magnitude > UnusualRows.factor * seen {
          result.append((token: tokens[index], magnitude: magnitude))
        }
      })
    return result.sorted { $0.magnitude > $1.magnitude }
  }

  /// Widens ranges in and behind the first layers to what tokens that no text has give by themselves,
  /// where that lies far beyond the text's.
  mutating func includeEarlyLayers(_ interpreter: FloatInterpreter, source: String)
    throws(InputError)
  {
    let model = interpreter.model
    guard let node = model.earlyNode else { return }
    var found = Calibration()
    let massive = try massiveTokens(
      interpreter, source: source,
      observe: { index, kind, values in
        guard FloatMatrix.areFinite(values), let range = FloatMatrix.range(of: values) else {
          return
        }
        let name = model.nodes[index].name
        if kind == .rowMaxima, case .attention(_, _, _, let settings) = model.nodes[index].operation
        {
          found.include(
            rowMaxima: Calibration.ranges(values, parts: settings.headCount), node: name)
        }
        if let quantity = ObservedQuantity(rawValue: kind.rawValue),
          quantity == .output || quantity == .variance
        {
          found.include(
            Double(range.lowerBound)...Double(range.upperBound), node: name, quantity: quantity)
        }
      })
    for (name, maxima) in found.rowMaxima { include(earlyMaxima: maxima, node: name) }
    for (name, quantities) in found.ranges {
      for (quantity, range) in quantities {
        guard let seen = ranges[name]?[quantity] else { continue }
        let factor = quantity == .variance ? EarlyLayers.far * EarlyLayers.far : EarlyLayers.far
        if range.upperBound > factor * max(abs(seen.lowerBound), abs(seen.upperBound))
          || -range.lowerBound > factor * max(abs(seen.lowerBound), abs(seen.upperBound))
        {
          include(vocabulary: range, node: name, quantity: quantity)
        }
      }
    }
    guard let largest = massive.first?.magnitude, largest.isFinite else { return }
    include(vocabulary: -largest...largest, node: model.nodes[node].name, quantity: .output)
  }

  /// Widens the row maxima of heads where `maxima` of tokens by themselves are far above.
  private mutating func include(earlyMaxima maxima: [ClosedRange<Double>], node: String) {
    guard let seen = rowMaxima[node], seen.count == maxima.count else { return }
    let widened = zip(seen, maxima).map { seen, head in
      let margin = EarlyLayers.scoreMargin + (seen.upperBound - seen.lowerBound) / 2
      let isFar = head.upperBound > seen.upperBound + margin
      return seen.lowerBound...(isFar ? head.upperBound : seen.upperBound)
    }
    guard widened != seen, let top = widened.map(\.upperBound).max() else { return }
    include(rowMaxima: widened, node: node)
    include(vocabulary: top...top, node: node, quantity: .scores)
  }

  /// Whether some token becomes far larger in the first layers than any of the text.
  func hasMassiveTokens(of model: Model) -> Bool {
    guard let node = model.earlyNode, let seen = magnitude(ranges, of: node, model),
      let rows = magnitude(vocabularyRanges, of: node, model)
    else { return false }
    return rows > UnusualRows.factor * seen
  }

  private func magnitude(
    _ ranges: [String: [ObservedQuantity: ClosedRange<Double>]], of node: Int, _ model: Model
  ) -> Double? {
    ranges[model.nodes[node].name]?[.output].map { max(abs($0.lowerBound), abs($0.upperBound)) }
  }
}
