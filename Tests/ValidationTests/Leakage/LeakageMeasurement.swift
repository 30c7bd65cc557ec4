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
  private static let recipes = ["permllm", "elements", "accurate"]

  private static func fixture(_ recipe: String) throws -> ConvertedModel {
    try ConvertedModel.fixture(recipe: .named(recipe))
  }

  private func show(_ what: String, _ results: [WeightRecovery.Result]) {
    let cells = results.map { result in
      "\(result.count): " + (result.error.map { String(format: "%.4f", $0) } ?? "too few")
    }
    print("\(what) | \(cells.joined(separator: ", "))")
  }

  @Test(arguments: recipes) func weights(recipe: String) throws {
    var recovery = WeightRecovery(queries: Queries(try Self.fixture(recipe)))
    recovery.token = 100
    let few = [256, 320, 512, 1024]
    show(
      "\(recipe), output matrix, deviating",
      try recovery.deviatingAtOutput(counts: few, size: 1))
    show(
      "\(recipe), first layer, deviating",
      try recovery.deviating(counts: few, size: recipe == "permllm" ? 0x1p-12 : 0x1p-15))
    show("\(recipe), first layer, repeating", try recovery.repeating(counts: few + [4096]))
    show(
      "\(recipe), span of the first layer, repeating",
      try recovery.repeatingWithoutInputs(counts: [512, 2048]))
    show(
      "\(recipe), span of the first layer, masked",
      try recovery.repeatingUnderMasks(counts: [512]))
  }

  @Test func answers() throws {
    let recovery = WeightRecovery(queries: Queries(try Self.fixture("accurate")))
    show(
      "span of the output matrix, answers",
      try recovery.asking(tokens: Array(0..<1024), counts: [256, 320, 512, 1024]))
  }

  @Test(arguments: recipes) func tokens(recipe: String) throws {
    let matching = TokenMatching(converted: try Self.fixture(recipe))
    let path = Repository.fixtures.appending(path: "opt-dickens-5m/calibration.json").path
    let prompts = try TokenFile.read(path).prefix(4).map { Array($0.prefix(16)) }
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
