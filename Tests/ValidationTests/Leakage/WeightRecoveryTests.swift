// Weight recovery by a user, with values permuted and with nothing permuted.

import Approximation
import TestSupport
import Testing

struct WeightRecoveryTests {
  /// An OPT of one layer with 48 neurons of 16 inputs.
  private static func tiny(_ recipe: String) throws -> WeightRecovery {
    let scratch = try ScratchFolder()
    let path = try TinyCheckpoint.opt(layerCount: 1, width: 16, innerWidth: 48).write(to: scratch)
    return WeightRecovery(
      queries: Queries(
        try ConvertedModel(
          path: path, calibrationTexts: [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 0, 1]],
          recipe: .named(recipe))))
  }

  /// A user of `permllm` who only repeats itself recovers a layer between two permuted functions, the
  /// better the longer it asks.
  @Test func repeatedPromptsGiveWeightsAway() throws {
    let results = try Self.tiny("permllm").repeating(counts: [16, 64, 1024])
    try #require(results.count == 3)
    #expect(results[0].error == nil)
    #expect(try #require(results[1].error) < 0.3)
    #expect(try #require(results[2].error) < 0.06)
  }

  /// With activations alone permuted the layer's inputs are not seen: what its outputs span is, but
  /// for the direction of the row itself, which its normalisation takes out: 1/16 of the squares.
  @Test func activationsAloneGiveASpanAway() throws {
    let elements = try Self.tiny("elements")
    #expect(try elements.repeating(counts: [64]).isEmpty)
    let error = try #require(elements.repeatingWithoutInputs(counts: [1024]).last?.error)
    #expect(error > 0.2 && error < 0.3)
  }

  /// With nothing permuted what comes for the same layer is as good as any 16 of 48 directions.
  @Test func nothingPermutedGivesNothingAway() throws {
    let accurate = try Self.tiny("accurate")
    #expect(try accurate.repeating(counts: [64]).isEmpty)
    #expect(try accurate.repeatingWithoutInputs(counts: [64]).isEmpty)
    let results = try accurate.repeatingUnderMasks(counts: [64, 512])
    try #require(results.count == 2)
    for result in results { #expect(abs(try #require(result.error) - 0.816) < 0.05) }
  }

  /// A user who deviates needs no rounding and few queries; permuting single elements is no help.
  @Test func chosenChangesGiveWeightsAway() throws {
    let results = try Self.tiny("elements").deviating(counts: [16, 64, 256], size: 0x1p-8)
    try #require(results.count == 3)
    #expect(results[0].error == nil)
    // All but the direction of the row itself, which its normalisation takes out: 1/16 of the squares.
    for result in results[1...] { #expect(try #require(result.error) < 0.25, "\(result)") }
  }

  /// A result that is opened in silence has no message that a user could change: of changes at chosen
  /// elements nothing is left.
  @Test func whatIsOpenedInSilenceTakesNoChanges() throws {
    let permuted = try Self.tiny("permllm")
    for results in [
      try permuted.deviating(counts: [64, 256], size: 0x1p-8),
      try permuted.deviatingAtOutput(counts: [20, 64], size: 0x1p-2),
    ] {
      for result in results { #expect(result.error ?? 1 > 0.9, "\(result)") }
    }
  }

  /// Nor is permuting nothing: the output matrix is behind logits, which every user gets.
  @Test(arguments: ["elements", "accurate"])
  func chosenChangesGiveTheOutputMatrixAway(recipe: String) throws {
    let results = try Self.tiny(recipe).deviatingAtOutput(counts: [16, 20, 64], size: 0x1p-2)
    try #require(results.count == 3)
    #expect(results[0].error == nil)
    for result in results[1...] { #expect(try #require(result.error) < 0.001, "\(result)") }
  }

  /// Who follows the protocol learns from its answers what the output matrix spans: no recipe changes
  /// that, and no deployment.
  @Test func answersSpanTheOutputMatrix() throws {
    // Eleven tokens can span no more than ten directions of eleven logits about their mean.
    let scratch = try ScratchFolder()
    let path = try TinyCheckpoint.opt(layerCount: 1, width: 4, innerWidth: 8).write(to: scratch)
    let queries = Queries(
      try ConvertedModel(
        path: path, calibrationTexts: [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 0, 1]]))
    let result = try WeightRecovery(queries: queries).asking(
      tokens: Array(0..<11), counts: [4, 11])
    #expect(result[0].error == nil)
    #expect(try #require(result[1].error) < 0.6)
  }
}
