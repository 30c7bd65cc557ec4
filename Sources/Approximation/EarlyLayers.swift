// Tokens that are like others in the embedding and become far larger in the first layers.

import Bytes
import Models

extension Model {
  /// The residual stream behind the first few layers: large activations appear there, and stay.
  var earlyNode: Int? {
    guard contextMarkers == nil else { return nil }
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

  /// `tokens`, ascending, or where they are many the first, the last, and as many between: tokens
  /// that stand for something else than text have the first ids or the last.
  static func chosen(_ tokens: [Int]) -> [Int] {
    guard tokens.count > tokenCount else { return tokens }
    let end = tokenCount / 4
    let middle = tokens.dropFirst(end).dropLast(end)
    let step = Double(middle.count) / Double(tokenCount - 2 * end)
    return tokens.prefix(end)
      + (0..<tokenCount - 2 * end).map { middle[middle.startIndex + Int(Double($0) * step)] }
      + tokens.suffix(end)
  }
}

extension Calibration {
  /// Tokens that no text has, each by itself through the first layers, whose residual stream is far
  /// larger than any text gave; the largest first.
  ///
  /// - Throws: `InputError` where a weight cannot be read.
  func massiveTokens(_ interpreter: FloatInterpreter, source: String) throws(InputError)
    -> [(token: Int, magnitude: Double)]
  {
    let model = interpreter.model
    guard let node = model.earlyNode, let seen = magnitude(ranges, of: node, model) else {
      return []
    }
    let tokens = EarlyLayers.chosen((0..<model.vocabularySize).filter { !seenTokens.contains($0) })
    guard !tokens.isEmpty, tokens.count < model.vocabularySize else { return [] }
    var result: [(token: Int, magnitude: Double)] = []
    try interpreter.prefix(node + 1).run(
      texts: tokens.map { [$0] }, source: source,
      receive: { index, output in
        let magnitude = Double(output.values.reduce(0) { max($0, abs($1)) })
        if magnitude > UnusualRows.factor * seen {
          result.append((token: tokens[index], magnitude: magnitude))
        }
      })
    return result.sorted { $0.magnitude > $1.magnitude }
  }

  /// Widens the range behind the first layers to those of massive tokens.
  mutating func includeEarlyLayers(_ interpreter: FloatInterpreter, source: String)
    throws(InputError)
  {
    guard let node = interpreter.model.earlyNode,
      let largest = try massiveTokens(interpreter, source: source).first?.magnitude,
      largest.isFinite
    else { return }
    include(
      vocabulary: -largest...largest, node: interpreter.model.nodes[node].name, quantity: .output)
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
