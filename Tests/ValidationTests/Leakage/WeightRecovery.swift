// What a user of a provider recovers of its weights, by the number of queries.

import Program
import TestSupport

/// Attacks on the first linear layer of a feed-forward and on the output matrix.
///
/// - Repeating: the user follows the protocol and asks the same prompt again and again. Roundings
///   differ from session to session, and by them the inputs of a layer, which the user of `permllm`
///   knows but for their order: so many equations for its weights (Li et al. 2026, arXiv 2605.04901).
/// - Deviating: the user adds numbers of its choice to its share of what a layer reads, in place of
///   roundings. For a permuted result that is as good as to send another f - r, and needs no order.
struct WeightRecovery {
  let queries: Queries
  /// The prompt.
  var token = 4
  var layer = 0

  private var up: String { "layers.\(layer).feedForward.up" }
  private var activation: String { "layers.\(layer).feedForward.activation" }
  private var norm: String { "layers.\(layer).postAttentionLayerNorm" }

  /// Queries so far, and how wrong the weights still are that were made of them.
  struct Result {
    var count: Int
    /// `WeightEstimate.relativeError`; nil where the queries are too few for a solution.
    var error: Double?
  }

  /// Repeats a prompt, with permuted normalisations and activations.
  func repeating(counts: [Int]) throws -> [Result] {
    guard let norm = queries.permutedNode(norm), let activation = queries.permutedNode(activation),
      let linear = queries.linear(up)
    else { return [] }
    var estimate = WeightEstimate(inputs: [], outputs: [])
    var truth: [[Double]] = []
    return try collect(counts) { number in
      let answer = try queries.ask(token, number: number)
      estimate.inputs.append(queries.sortedResults(answer, norm))
      estimate.outputs.append(queries.sorted(answer, activation))
      if number > 0 { return }
      let columns = queries.elements(answer, norm)
      truth = rows(queries.matrix(linear.weight), answer, activation).map { row in
        columns.map { row[$0] }
      }
    } result: {
      estimate.weights().map { WeightEstimate.relativeError($0, truth) }
    }
  }

  /// Adds numbers up to `size` to what the layer reads, with permuted activations.
  func deviating(counts: [Int], size: Double) throws -> [Result] {
    guard let activation = queries.permutedNode(activation), let linear = queries.linear(up) else {
      return []
    }
    var estimate = WeightEstimate(inputs: [], outputs: [])
    var truth: [[Double]] = []
    return try collect(counts) { number in
      let (values, words) = changes(linear, size: number == 0 ? 0 : size, number)
      let answer = try queries.ask(token, number: number, changes: [linear.opening: words])
      estimate.inputs.append(values)
      estimate.outputs.append(queries.sorted(answer, activation))
      if number == 0 { truth = rows(queries.matrix(linear.weight), answer, activation) }
    } result: {
      estimate.weights().map { WeightEstimate.relativeError($0, truth) }
    }
  }

  /// Changes what the output matrix reads, whatever is permuted: one element by the least of the bits
  /// that it alone reads, so that the row is still divided by the size that it had; or by numbers up to
  /// `size` where others read all its bits.
  func deviatingAtOutput(counts: [Int], size: Double) throws -> [Result] {
    guard let linear = queries.linear("logits") else { return [] }
    var estimate = WeightEstimate(inputs: [], outputs: [], isSorted: false)
    let truth = queries.matrix(linear.weight)
    return try collect(counts) { number in
      var (values, words) = changes(linear, size: size, number)
      if linear.widening != nil {
        values = values.indices.map { $0 + 1 == number % (values.count + 1) ? 1 : 0 }
        words = values.map { UInt64($0) }
      }
      let answer = try queries.ask(
        token, number: number, changes: [linear.widening ?? linear.opening: words])
      estimate.inputs.append(values)
      estimate.outputs.append(answer.logits)
    } result: {
      estimate.weights().map { WeightEstimate.relativeError($0, truth) }
    }
  }

  /// What of the layer's columns the span of its outputs holds, where these alone are permuted: by
  /// queries the part that is missing.
  func repeatingWithoutInputs(counts: [Int]) throws -> [Result] {
    guard let activation = queries.permutedNode(activation), let linear = queries.linear(up) else {
      return []
    }
    var outputs: [[Double]] = []
    var truth: [[Double]] = []
    return try collect(counts) { number in
      let answer = try queries.ask(token, number: number)
      outputs.append(queries.sorted(answer, activation))
      if number == 0 { truth = rows(queries.matrix(linear.weight), answer, activation) }
    } result: {
      missing(outputs, truth)
    }
  }

  /// The same of what comes for the openings of the layer's outputs, under masks, where nothing is
  /// permuted.
  func repeatingUnderMasks(counts: [Int]) throws -> [Result] {
    guard let linear = queries.linear(up),
      let opening = queries.program.nodes.firstIndex(where: { node in
        guard case .open(let x, _) = node.operation else { return false }
        return queries.program.nodes.contains { other in
          if case .linear(_, linear.weight) = other.operation { return other.outputs.contains(x) }
          return false
        }
      }), case .open(_, let packing) = queries.program.nodes[opening].operation
    else { return [] }
    let truth = queries.matrix(linear.weight)
    var outputs: [[Double]] = []
    return try collect(counts) { number in
      let answer = try queries.ask(token, number: number)
      var words = [UInt64](repeating: 0, count: truth.count)
      packing.add((answer.view.received[opening] ?? [])[...], to: &words)
      let unused = UInt64(64 - packing.bits)
      outputs.append(words.map { Double(Int64(bitPattern: $0 &<< unused)) })
    } result: {
      missing(outputs, truth)
    }
  }

  /// What of the output matrix's columns the span of the logits of all `tokens` holds, which every
  /// user gets as its answers: by queries the part that is missing.
  func asking(tokens: [Int], counts: [Int]) throws -> [Result] {
    guard let linear = queries.linear("logits") else { return [] }
    let truth = queries.matrix(linear.weight)
    var outputs: [[Double]] = []
    return try collect(counts) { number in
      outputs.append(try queries.ask(tokens[number], number: number).logits)
    } result: {
      missing(outputs, truth)
    }
  }

  private func missing(_ outputs: [[Double]], _ truth: [[Double]]) -> Double? {
    guard outputs.count > truth[0].count else { return nil }
    return (1 - Span(outputs, count: truth[0].count).share(of: truth)).squareRoot()
  }

  private func collect(
    _ counts: [Int], _ query: (Int) throws -> Void, result: () -> Double?
  ) throws -> [Result] {
    var results: [Result] = []
    for number in 0..<(counts.max() ?? 0) {
      try query(number)
      if counts.contains(number + 1) { results.append(Result(count: number + 1, error: result())) }
    }
    return results
  }

  /// Rows of `matrix` in the order of what `answer` shows at `node`.
  private func rows(_ matrix: [[Double]], _ answer: Queries.Answer, _ node: Int) -> [[Double]] {
    queries.elements(answer, node).map { matrix[$0] }
  }

  /// Numbers from -size to size for what the layer reads, and as words.
  private func changes(_ linear: Queries.Linear, size: Double, _ number: Int)
    -> (values: [Double], words: [UInt64])
  {
    let opened = queries.program.nodes[linear.opening].outputs.lowerBound
    let bits = queries.program.values[opened].fractionalBits
    var random = SplitMix(UInt64(number))
    let unit = Double(sign: .plus, exponent: bits, significand: 1)
    let words = (0..<queries.program.weights[linear.weight].inputCount).map { _ in
      Int64((Double.random(in: -1...1, using: &random) * size * unit).rounded())
    }
    return (words.map { Double($0) / unit }, words.map { UInt64(bitPattern: $0) })
  }
}
