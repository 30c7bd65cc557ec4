// Scores of the first attention, which depend on two tokens and their places and on nothing else.

public import Bytes
import Foundation

extension Model {
  /// The first attention, where its scores depend on two tokens and their places alone: where no learned
  /// bias is added to them.
  public var firstAttention: Int? {
    for (index, node) in nodes.enumerated() {
      guard case .attention(_, _, _, let settings) = node.operation else { continue }
      if case .relative? = settings.bias { return nil }
      return index
    }
    return nil
  }
}

extension FloatInterpreter {
  /// Of each head of `Model.firstAttention` the largest score that a query of one of `tokens` has with a
  /// key of one of them: the key at the first position and the query at some after it, near and far,
  /// and in models that look ahead the other way round as well. Empty without such an attention, and
  /// without tokens.
  ///
  /// - Throws: `InputError` where a weight cannot be read.
  public func largestFirstScores(of tokens: [Int]) throws(InputError) -> [Double] {
    guard let index = model.firstAttention, !tokens.isEmpty,
      case .attention(let query, let key, _, let settings) = model.nodes[index].operation
    else { return [] }
    func inputs(_ rows: [TokenRow]) throws(InputError) -> (queries: [Float], keys: [Float]) {
      let values = try values(of: rows, nodeCount: max(query, key) + 1) { _, _, _ in }
      return (values[query], values[key])
    }
    let first = try inputs(tokens.map { TokenRow(token: $0, position: 0) })
    let farthest = min(model.maximumPositions, settings.window ?? model.maximumPositions) - 1
    let rows = Self.distances(upTo: farthest).flatMap { position in
      tokens.map { TokenRow(token: $0, position: position) }
    }
    let width = max(model.nodes[query].width, model.nodes[key].width, tokens.count)
    var largest = [Double](repeating: -.infinity, count: settings.headCount)
    func include(_ scores: [Double]) { largest = zip(largest, scores).map { max($0, $1) } }
    for part in memory.parts(rowCount: rows.count, columnCount: width) {
      let later = try inputs(Array(rows[part]))
      include(
        Self.largestScores(
          queries: later.queries, part.count, keys: first.keys, tokens.count, settings))
      guard model.kind != .decoder else { continue }
      include(
        Self.largestScores(
          queries: first.queries, tokens.count, keys: later.keys, part.count, settings))
    }
    if let cap = settings.softCap { largest = largest.map { cap * tanh($0 / cap) } }
    return largest
  }

  /// 0, 1, 2, 3, 4, 6, 8, 12, 16 and so on up to `farthest`, which is one of them.
  private static func distances(upTo farthest: Int) -> [Int] {
    var result = [0, 1]
    var octave = 2
    while octave <= farthest {
      result += [octave, octave + octave / 2]
      octave *= 2
    }
    return Array(Set(result.map { min($0, max(farthest, 0)) } + [max(farthest, 0)])).sorted()
  }

  /// The largest scaled product of one of `rowCount` rows of `queries` and one of `keyCount` of `keys`,
  /// by head.
  private static func largestScores(
    queries: [Float], _ rowCount: Int, keys: [Float], _ keyCount: Int,
    _ settings: AttentionSettings
  ) -> [Double] {
    func view(_ values: [Float], _ count: Int, head: Int, of headCount: Int) -> MatrixView {
      let headWidth = values.count / count / headCount
      return MatrixView(
        offset: head * headWidth, rowCount: count, columnCount: headWidth,
        stride: headCount * headWidth)
    }
    let table = MatrixView(
      offset: 0, rowCount: rowCount, columnCount: keyCount, stride: keyCount)
    var scores = [Float](repeating: 0, count: rowCount * keyCount)
    return (0..<settings.headCount).map { head in
      let keyHead = head / (settings.headCount / settings.keyHeadCount)
      MatrixProduct.multiply(
        queries, view(queries, rowCount, head: head, of: settings.headCount),
        keys, view(keys, keyCount, head: keyHead, of: settings.keyHeadCount),
        transposed: true, scale: Float(settings.scale), into: &scores, table)
      return Double(FloatMatrix.range(of: scores)?.upperBound ?? 0)
    }
  }
}
