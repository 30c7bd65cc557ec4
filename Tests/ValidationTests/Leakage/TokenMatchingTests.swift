// Tokens are told by sorted rows where these are permuted, and not where nothing is.

import Approximation
import TestSupport
import Testing

struct TokenMatchingTests {
  static let prompts = [[1, 4, 2, 0], [10, 7, 7, 3], [5, 6, 9, 8], [2, 2, 0, 1]]

  @Test(arguments: ["permllm", "elements", "accurate"])
  func tinyAll(recipe: String) throws {
    let scratch = try ScratchFolder()
    let path = try TinyCheckpoint.opt(layerCount: 2, width: 16, innerWidth: 48).write(to: scratch)
    let matching = TokenMatching(
      converted: try ConvertedModel(
        path: path, calibrationTexts: [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 0, 1]],
        recipe: .named(recipe)))
    for label in ["layers.0.inputLayerNorm", "layers.1.inputLayerNorm", "layers.0.feedForward.activation"] {
      guard let place = matching.place(label) else { continue }
      var right = 0
      for (number, prompt) in Self.prompts.enumerated() {
        let found = try matching.prompt(prompt, place, number: number)
        right += zip(found, prompt).count { $0 == $1 }
      }
      print("\(recipe) \(label): \(right) of 16")
    }
  }
}
