// Rows of zeros and small ones: 1/sqrt(x + epsilon) is bounded by epsilon, whatever the text held.

import Approximation
import Bytes
import Models
import Program
import TestSupport
import Testing
import Validation

struct EpsilonTests {
  static let texts = [[1, 4, 2, 3, 5, 6], [0, 1, 3], [2, 5, 6, 1, 2]]
  static let small = [[7, 9, 1], [10, 2, 8]]

  /// A token with one large channel, such as that of the beginning of a text, which the calibration
  /// lacks: its row of the vocabulary is seen all the same.
  @Test func tokensOutsideTheTextStayRight() throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.tensors["model.embed_tokens.weight"]?.values[3] = 50
    let model = try NumbersModel(checkpoint, texts: [[1, 4, 2, 3, 5, 6], [2, 5, 6, 1, 2]])
    #expect(model.approximated.unusualRows?.tokens == [0])
    for prompt in [[1, 4, 2, 3], [0], [0, 1, 4, 2], [1, 2, 3, 0, 4, 5]] {
      let error = try model.error(prompt)
      #expect(error.mean < 0.002 * max(error.of, 1), "\(prompt): \(error)")
    }
  }

  /// A text that begins with zeros gives every normalisation nothing but epsilon, while the residual
  /// stream of others grows large: a range of 23 octaves and more.
  @Test func zerosBesideLargeActivationsStayRight() throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.changeRow(7, of: "model.embed_tokens.weight") { _ in 0 }
    for layer in 0..<2 {
      checkpoint.scale("model.layers.\(layer).self_attn.o_proj.weight", by: 8)
      checkpoint.scale("model.layers.\(layer).mlp.down_proj.weight", by: 8)
    }
    let model = try NumbersModel(checkpoint, texts: Self.texts)
    for prompt in [[1, 4, 2, 3], [7, 1, 4], [7, 7, 2], [1, 7, 2]] {
      let error = try model.error(prompt)
      #expect(error.mean < 0.002 * max(error.of, 1), "\(prompt): \(error)")
    }
  }

  /// Tokens 7 and 8 are zeros, 9 and 10 a thousandth of what they were.
  static func reserved(_ checkpoint: TinyCheckpoint, _ table: String) -> TinyCheckpoint {
    var result = checkpoint
    for row in 7...8 { result.changeRow(row, of: table) { _ in 0 } }
    for row in 9...10 { result.changeRow(row, of: table) { $0 * 1e-3 } }
    return result
  }

  @Test(
    arguments: [
      ("llama", TinyCheckpoint.llama(), "model.embed_tokens.weight"),
      ("gpt2", .gpt2(), "transformer.wte.weight"),
      ("opt", .opt(), "model.decoder.embed_tokens.weight"),
    ], [false, true])
  func smallRowsStayRight(_ family: (String, TinyCheckpoint, String), isSeen: Bool) throws {
    // Parabolas on cells are so precise that what small rows cost beside them would be all there is.
    var recipe = Recipe.accurate
    recipe.choose(ReplacementChoice(LinesActivation.accurate(for: .silu)), for: .silu)
    let plain = try NumbersModel(family.1, texts: Self.texts, recipe: recipe)
    let model = try NumbersModel(
      Self.reserved(family.1, family.2), texts: Self.texts + (isSeen ? Self.small : []),
      recipe: recipe)
    // What other rows cost is drawn by masks: the largest of six prompts alone says little of it.
    let prompts = [[1, 4, 2, 3], [7], [9], [10, 8, 7, 9], [9, 1, 2, 7], [1, 2, 7, 9, 10]]
    let more = (0..<40).map { number in (0..<4).map { (number * (2 * $0 + 3) + $0) % 11 } }
    var before = (mean: 0.0, largest: 0.0)
    for prompt in prompts + more {
      let error = try plain.error(prompt)
      before = (max(before.mean, error.mean), max(before.largest, error.largest))
    }
    for prompt in prompts {
      let error = try model.error(prompt)
      #expect(
        error.mean <= 3 * before.mean && error.largest <= 3 * before.largest,
        "\(family.0), \(prompt): \(error) beside \(before)")
    }
  }
}
