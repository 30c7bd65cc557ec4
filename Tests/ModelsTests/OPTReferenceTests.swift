// The float interpreter on the OPT fixture against the library that trained it.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

@Suite struct OPTReferenceTests {
  private let reference = ReferenceModel.opt

  @Test func logitsOfEveryPrompt() throws {
    let interpreter = try FloatInterpreter(reference.load())
    let prompts = try reference.prompts()
    #expect(prompts.count >= 5)
    var largest: Float = 0
    for (index, tokens) in prompts.prefix(5).enumerated() {
      let expected = try reference.array("logits_\(index).npy")
      let logits = try interpreter.run(tokens: tokens)
      #expect(expected.shape == [logits.rowCount, logits.columnCount])
      largest = max(largest, largestDifference(logits.values, expected.values))
    }
    #expect(largest < 2e-4, "largest difference \(largest)")
  }

  @Test func hiddenStatesOfEveryLayer() throws {
    let loaded = try reference.load()
    let expected = try reference.array("hidden_2.npy")
    let layerCount = expected.shape[0] - 2
    let names =
      ["embed"] + (0..<layerCount).map { "layers.\($0).feedForwardResidual" } + ["finalLayerNorm"]
    var states: [String: [Float]] = [:]
    _ = try FloatInterpreter(loaded).run(tokens: reference.prompts()[2]) { index, kind, values in
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
  @Test func isCausal() throws {
    let interpreter = try FloatInterpreter(reference.load())
    let tokens = try reference.prompts()[3]
    let long = try interpreter.run(tokens: tokens)
    let short = try interpreter.run(tokens: Array(tokens.prefix(5)))
    #expect(largestDifference(short.values, long.values[..<short.values.count]) < 1e-4)
    #expect(long.row(4).count == long.columnCount)
  }

  /// The ranges of the reference over its prompts enclose what the same prompts show here.
  @Test func observedRangesAgreeWithTheReference() throws {
    let loaded = try reference.load()
    let path = reference.folder.appending(path: "reference/ranges.json").path
    var top = try JSONReader(JSON.read(path), source: path)
    var ranges = try top.object("ranges")
    var seen: [String: [Observation: (low: Float, high: Float)]] = [:]
    let interpreter = try FloatInterpreter(loaded)
    for tokens in try reference.prompts() {
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
    for layer in 0..<6 {
      try check("layer\(layer).norm1.variance", "layers.\(layer).inputLayerNorm", .variance)
      try check("layer\(layer).norm2.variance", "layers.\(layer).postAttentionLayerNorm", .variance)
      try check("layer\(layer).activation_in", "layers.\(layer).feedForward.up", .output)
      try check("layer\(layer).softmax_in", "layers.\(layer).attention", .scores)
      try check(
        "layer\(layer).softmax_in_minus_max", "layers.\(layer).attention", .centredScores)
    }
    try check("final_norm.variance", "finalLayerNorm", .variance)
  }
}
