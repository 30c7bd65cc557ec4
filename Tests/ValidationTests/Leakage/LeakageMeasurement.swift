// The tables of the README on what permuted values give away; slow, so only where LODGE_MEASURE is set.

import Approximation
import Bytes
import Foundation
import TestSupport
import Testing

/// `tools/measure-leakage` runs it.
@Suite(
  .serialized, .enabled(if: ProcessInfo.processInfo.environment["LODGE_MEASURE"] != nil))
struct LeakageMeasurement {
  private static let few = [256, 320, 512, 1024]

  private func recovery(_ recipe: String) throws -> WeightRecovery {
    var recovery = WeightRecovery(
      queries: Queries(try ConvertedModel.fixture(recipe: .named(recipe))))
    recovery.token = 100
    return recovery
  }

  private func show(_ what: String, _ results: [WeightRecovery.Result]) {
    let cells = results.map { result in
      "\(result.count): " + (result.error.map { String(format: "%.4f", $0) } ?? "too few")
    }
    print("\(what) | \(cells.joined(separator: ", "))")
  }

  @Test(arguments: ["permllm", "elements", "accurate"])
  func deviatingAtOutput(recipe: String) throws {
    show(
      "\(recipe), output matrix, deviating",
      try recovery(recipe).deviatingAtOutput(counts: Self.few, size: 1))
  }

  /// Rows that `elements` changes are not yet divided by their size, about 1/8.
  @Test(arguments: [("permllm", 1.0), ("elements", 0.125)])
  func deviating(recipe: String, scale: Double) throws {
    show(
      "\(recipe), first layer, deviating",
      try recovery(recipe).deviating(
        counts: Self.few, size: scale * 0x1p-10, offset: scale * 64))
  }

  @Test func repeating() throws {
    show(
      "permllm, first layer, repeating",
      try recovery("permllm").repeating(counts: Self.few + [4096]))
  }

  @Test(arguments: ["permllm", "elements"]) func spans(recipe: String) throws {
    show(
      "\(recipe), span of the first layer, repeating",
      try recovery(recipe).repeatingWithoutInputs(counts: [512, 2048]))
  }

  @Test func spansUnderMasks() throws {
    show(
      "accurate, span of the first layer, repeating",
      try recovery("accurate").repeatingUnderMasks(counts: [512]))
  }

  @Test func answers() throws {
    show(
      "span of the output matrix, answers",
      try recovery("accurate").asking(tokens: Array(0..<1024), counts: Self.few))
  }

  @Test(arguments: ["permllm", "elements", "accurate"]) func tokens(recipe: String) throws {
    let matching = TokenMatching(
      converted: try ConvertedModel.fixture(recipe: .named(recipe)))
    let path = Repository.fixtures.appending(path: "opt-dickens-5m/calibration.json").path
    let prompts = try TokenFile.read(path).prefix(4).map { Array($0.prefix(8)) }
    for label in [
      "layers.0.inputLayerNorm", "layers.0.feedForward.activation", "layers.4.inputLayerNorm",
      "layers.4.feedForward.activation",
    ] {
      guard let place = matching.place(label) else { continue }
      var right = 0
      for (number, prompt) in prompts.enumerated() {
        right += zip(try matching.prompt(prompt, place, number: number), prompt)
          .count { $0 == $1 }
      }
      print("\(recipe), tokens at \(label) | \(right) of \(prompts.reduce(0) { $0 + $1.count })")
    }
  }
}
