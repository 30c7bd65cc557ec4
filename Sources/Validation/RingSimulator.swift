// The exact fixed-point interpreter: the plaintext that two parties' shares add up to, bit for bit.

import Models
public import Program
public import Sharing

/// Evaluates a program on plaintext ring elements, with the masks of a session.
///
/// Masks matter in two places only: the possible +1 of a truncation, and on which side of a knot
/// a value within the dropped bits falls. Everything else is plain arithmetic modulo 2^64, which
/// makes this interpreter independent of correlations and protocols.
public struct RingSimulator {
  private let program: SecureProgram
  private let weights: [[UInt64]]
  private let streams: [SessionStreams]
  private var keyCaches: [ValueID: [UInt64]] = [:]

  /// `weights` in the order of `program.weights`, `streams` those of party 0 and party 1.
  public init(program: SecureProgram, weights: [[UInt64]], streams: [SessionStreams]) {
    self.program = program
    self.weights = weights
    self.streams = streams
  }

  /// Runs one step on the input rows and returns the output rows.
  public mutating func step(_ step: SessionStep, input: [UInt64]) -> [UInt64] {
    var values = [[UInt64]](repeating: [], count: program.values.count)
    var masks: [ValueID: [UInt64]] = [:]
    var output: [UInt64] = []
    for (index, node) in program.nodes.enumerated() {
      let first = node.outputs.lowerBound
      func shape(_ value: ValueID) -> ValueShape { program.values[value].shape }
      switch node.operation {
      case .input: values[first] = input
      case .open(let x):
        values[first] = values[x]
        masks[first] = mask(node: index, step.dealtRanges(shape(x)))
        if isCached(first) { keyCaches[first, default: []] += values[x] }
      case .view(let x, let shift):
        guard let mask = masks[x] else { break }
        values[first] = view(values[x], mask: mask, shift: shift)
      case .truncate(let x): values[first] = values[x]
      case .linear(let x, let id):
        values[first] = program.weights[id].product(values[x], weights[id])
      case .scale(let x, let id):
        values[first] = program.weights[id].scaled(values[x], weights[id])
      case .scores(let query, let key, let heads, let keyHeads):
        values[first] = step.scores(
          values[query], keyCaches[key] ?? values[key], shape(first), heads: heads,
          keyHeads: keyHeads,
          headWidth: (shape(query).width ?? 0) / heads)
      case .mix(let weights, let value, let heads, let keyHeads):
        values[first] = step.mix(
          values[weights], shape(weights), keyCaches[value] ?? values[value], heads: heads,
          keyHeads: keyHeads,
          headWidth: (shape(value).width ?? 0) / keyHeads)
      case .multiply(let x, let y):
        let right = step.broadcast(values[y], shape(y), to: shape(x))
        values[first] = zip(values[x], right).map { $0 &* $1 }
      case .polynomial(let x, let coefficients):
        for (output, polynomial) in zip(node.outputs, coefficients) {
          values[output] = values[x].map { word in
            polynomial.reversed().reduce(0) { $0 &* word &+ $1 }
          }
        }
      case .piecewiseLinear(let x, let function):
        guard let mask = masks[x] else { break }
        let results = piecewise(function, values[x], mask: mask)
        for (output, result) in zip(node.outputs, results) { values[output] = result }
      case .combine(let terms, let constant):
        values[first] = step.combine(
          terms.map { (values[$0.value], shape($0.value), $0.coefficient) }, constant: constant)
      case .addWeight(let x, let id, let rows):
        values[first] = step.addWeight(values[x], shape(x), weights[id], rows: rows)
      case .rotate(let x, let rotation):
        values[first] = step.rotate(values[x], shape(x), rotation)
      case .sum(let x, let runs): values[first] = step.sum(values[x], shape(x), runs: runs)
      case .pairDifference(let x): values[first] = step.pairDifference(values[x], shape(x))
      case .pairMerge(let x, let y):
        values[first] = step.pairMerge(values[x], shape(x), pairs: values[y])
      case .padKeys(let x): values[first] = step.padKeys(values[x], shape(x))
      case .padRows(let x): values[first] = step.padRows(values[x], shape(x))
      case .lastRow(let x): values[first] = step.lastRow(values[x], shape(x))
      case .output(let x): output = values[x]
      }
    }
    return output
  }

  private func mask(node: Int, _ ranges: [Range<Int>]) -> [UInt64] {
    zip(
      streams[0].mask(node: node).words(in: ranges), streams[1].mask(node: node).words(in: ranges)
    ).map { $0 &+ $1 }
  }

  /// Whether opened value `value` is kept for later rows: the keys and values of a decoder.
  private func isCached(_ value: ValueID) -> Bool {
    program.kind == .decoder && program.cachedValues.contains(value)
  }

  private func view(_ words: [UInt64], mask: [UInt64], shift: Int) -> [UInt64] {
    let parts = ViewParts(opened: zip(words, mask).map { $0 &+ $1 }, shift: shift)
    return words.indices.map { index in
      let lifted = (mask[index] &>> 63) &* parts.lift[index]
      return parts.base[index] &- (mask[index] &>> UInt64(shift)) &+ lifted
    }
  }

  private func piecewise(_ function: PiecewiseLinear, _ words: [UInt64], mask: [UInt64])
    -> [[UInt64]]
  {
    let arguments =
      function.shift == 0 ? words : view(words, mask: mask, shift: function.shift)
    let steps = function.outputs.indices.map(function.steps)
    let last = function.outputs.indices.map(function.lastPiece)
    var results = function.outputs.map { _ in [UInt64](repeating: 0, count: words.count) }
    for index in words.indices {
      let opened = words[index] &+ mask[index]
      let y = arguments[index]
      let maskWindow = function.window(mask[index])
      for output in results.indices {
        results[output][index] = last[output].slope &* y &+ last[output].intercept
      }
      for knot in function.knots.indices {
        let window = function.window(
          opened &- UInt64(bitPattern: Int64(function.knots[knot])))
        let difference = (window &- maskWindow) & (.max &>> UInt64(64 - function.comparedBits))
        guard difference &>> UInt64(function.comparedBits - 1) == 1 else { continue }
        for output in results.indices {
          results[output][index] &+=
            steps[output][knot].slope &* y
            &+ steps[output][knot].intercept
        }
      }
    }
    return results
  }
}
