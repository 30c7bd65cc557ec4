// Tokens are told by sorted rows where these are permuted, and not where nothing is.

import Approximation
import TestSupport
import Testing

struct TokenMatchingTests {
  private static let prompts = [[1, 4, 2, 0], [10, 7, 7, 3], [5, 6, 9, 8], [2, 2, 0, 1]]
  private static let texts = [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 0, 1]]

  /// Tokens of the prompts that were told at `label`.
  private func recovered(_ recipe: String, _ label: String) throws -> Int {
    let scratch = try ScratchFolder()
    let path = try TinyCheckpoint.opt(layerCount: 2, width: 16, innerWidth: 48).write(to: scratch)
    let matching = TokenMatching(
      converted: try ConvertedModel(
        path: path, calibrationTexts: Self.texts, recipe: .named(recipe)))
    let place = try #require(matching.place(label))
    var count = 0
    for (number, prompt) in Self.prompts.enumerated() {
      let found = try matching.prompt(prompt, place, number: number)
      count += zip(found, prompt).count { $0 == $1 }
    }
    return count
  }

  @Test(arguments: [
    ("permllm", "layers.0.inputLayerNorm"), ("permllm", "layers.1.inputLayerNorm"),
    ("permllm", "layers.0.feedForward.activation"),
    ("elements", "layers.0.feedForward.activation"),
  ])
  func sortedRowsTellTokens(recipe: String, label: String) throws {
    #expect(try recovered(recipe, label) == 16)
  }

  /// Chance alone would give 16/11 tokens.
  @Test(arguments: [
    ("elements", "layers.0.inputLayerNorm"), ("accurate", "layers.0.inputLayerNorm"),
    ("accurate", "layers.0.feedForward.activation"),
  ])
  func maskedRowsTellNothing(recipe: String, label: String) throws {
    #expect(try recovered(recipe, label) < 6)
  }

  /// The numbers of a whole text in one order hide which row is which; a text is found among all of its
  /// length nevertheless.
  @Test func wholeTextsAreFound() throws {
    let scratch = try ScratchFolder()
    let path = try TinyCheckpoint.bert(layerCount: 1, width: 8, innerWidth: 12).write(to: scratch)
    let matching = TokenMatching(
      converted: try ConvertedModel(
        path: path, calibrationTexts: Self.texts, recipe: .named("elements")))
    let place = try #require(matching.place("layers.0.feedForward.activation"))
    let candidates = (0..<11).flatMap { first in (0..<11).map { [first, $0] } }
    for (number, text) in [[3, 1], [8, 8], [0, 10]].enumerated() {
      let found = try matching.text(text, among: candidates, place, number: number)
      #expect(candidates[found] == text)
    }
  }
}
