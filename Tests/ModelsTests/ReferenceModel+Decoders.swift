// What is checked of every decoder that has reference outputs.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

extension ReferenceModel {
  /// Largest difference to the reference logits over all prompts, or the first `promptCount`.
  func largestLogitDifference(of file: String? = nil, promptCount: Int = 6) throws -> Float {
    let interpreter = try FloatInterpreter(load(file))
    let prompts = try prompts()
    #expect(!prompts.isEmpty)
    var largest: Float = 0
    for (index, tokens) in prompts.prefix(promptCount).enumerated() {
      let expected = try array("logits_\(index).npy")
      let logits = try interpreter.run(tokens: tokens)
      #expect(expected.shape == [logits.rowCount, logits.columnCount])
      largest = max(largest, largestDifference(logits.values, expected.values))
    }
    return largest
  }

  func checkLogits(of file: String? = nil, promptCount: Int = 6) throws {
    let largest = try largestLogitDifference(of: file, promptCount: promptCount)
    #expect(largest < 2e-4, "largest difference \(largest)")
  }

  func checkHiddenStates() throws {
    let loaded = try load()
    let expected = try array("hidden_2.npy")
    let layerCount = expected.shape[0] - 2
    let names =
      ["embed"] + (0..<layerCount).map { "layers.\($0).feedForwardResidual" } + ["finalLayerNorm"]
    var states: [String: [Float]] = [:]
    _ = try FloatInterpreter(loaded).run(tokens: prompts()[2]) { index, kind, values in
      if kind == .output { states[loaded.model.nodes[index].name] = values }
    }
    let count = expected.values.count / names.count
    for (index, name) in names.enumerated() {
      let state = try #require(states[name])
      let difference = largestDifference(
        state, expected.values[index * count..<(index + 1) * count])
      #expect(difference < 2e-4, "\(name): largest difference \(difference)")
    }
  }

  /// Positions do not see later ones: a longer text has the same logits at the beginning.
  func checkIsCausal() throws {
    let interpreter = try FloatInterpreter(load())
    let tokens = try prompts()[3]
    let long = try interpreter.run(tokens: tokens)
    let short = try interpreter.run(tokens: Array(tokens.prefix(5)))
    #expect(largestDifference(short.values, long.values[..<short.values.count]) < 1e-4)
    #expect(long.row(4).count == long.columnCount)
  }

  /// The ranges of the reference over its prompts enclose what the same prompts show here.
  ///
  /// - Parameters:
  ///   - rowQuantity: what the reference calls the quantity that normalisations observe.
  ///   - activationInput: end of the name of the node that the activation reads.
  func checkRanges(rowQuantity: String, activationInput: String) throws {
    let loaded = try load()
    let path = folder.appending(path: "reference/ranges.json").path
    var top = try JSONReader(JSON.read(path), source: path)
    var ranges = try top.object("ranges")
    var seen: [String: [Observation: (low: Float, high: Float)]] = [:]
    let interpreter = try FloatInterpreter(loaded)
    for tokens in try prompts() {
      _ = try interpreter.run(tokens: tokens) { index, kind, values in
        let name = loaded.model.nodes[index].name
        let old = seen[name]?[kind] ?? (.infinity, -.infinity)
        seen[name, default: [:]][kind] = (
          min(old.low, values.min() ?? .infinity), max(old.high, values.max() ?? -.infinity)
        )
      }
    }
    func check(_ key: String, _ node: String, _ kind: Observation) throws {
      let found = try #require(seen[node]?[kind], "\(node) \(kind)")
      let limits = try ranges.array(key).map { value throws in
        switch value {
        case .number(let number): number
        case .integer(let number): Double(number)
        default: throw ranges.failure(key, "expected a number")
        }
      }
      let slack = 1e-3 * max(abs(limits[0]), abs(limits[1]))
      #expect(
        Double(found.low) >= limits[0] - slack && Double(found.high) <= limits[1] + slack,
        "\(key): \(found), reference \(limits)")
    }
    let layerCount = loaded.model.nodes.count {
      if case .attention = $0.operation { true } else { false }
    }
    for layer in 0..<layerCount {
      let (key, node) = ("layer\(layer)", "layers.\(layer)")
      try check("\(key).norm1.\(rowQuantity)", "\(node).inputLayerNorm", .variance)
      try check("\(key).norm2.\(rowQuantity)", "\(node).postAttentionLayerNorm", .variance)
      try check("\(key).activation_in", "\(node).\(activationInput)", .output)
      try check("\(key).softmax_in", "\(node).attention", .scores)
      try check("\(key).softmax_in_minus_max", "\(node).attention", .centredScores)
    }
    try check("final_norm.\(rowQuantity)", "finalLayerNorm", .variance)
  }
}
