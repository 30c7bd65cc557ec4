// Weight recovery by a user, with what is permuted and with nothing permuted.

import Approximation
import Foundation
import TestSupport
import Testing

struct WeightRecoveryTests {
  static func tiny(_ recipe: String) throws -> WeightRecovery {
    let scratch = try ScratchFolder()
    let path = try TinyCheckpoint.opt(layerCount: 1, width: 16, innerWidth: 48).write(to: scratch)
    return WeightRecovery(
      queries: Queries(
        try ConvertedModel(
          path: path, calibrationTexts: [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 0, 1]],
          recipe: .named(recipe))))
  }

  static func show(_ what: String, _ results: [WeightRecovery.Result]) {
    for result in results {
      let error = result.error.map { String(format: "%.4f", $0) } ?? "-"
      print("\(what): \(result.count) queries, error \(error)")
    }
  }

  @Test(arguments: ["permllm", "elements", "accurate"])
  func tinyAll(recipe: String) throws {
    let r = try Self.tiny(recipe)
    let c = [16, 32, 64, 256, 1024]
    Self.show("\(recipe) repeating", try r.repeating(counts: c))
    Self.show("\(recipe) deviating", try r.deviating(counts: c, size: 0x1p-8))
    Self.show("\(recipe) output", try r.deviatingAtOutput(counts: c, size: 0x1p-6))
    Self.show("\(recipe) without", try r.repeatingWithoutInputs(counts: c))
    Self.show("\(recipe) masks", try r.repeatingUnderMasks(counts: c))
  }
}
