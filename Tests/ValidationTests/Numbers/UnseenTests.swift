// What no text of the calibration has: late positions, tokens that become large inside, many small
// ones together.

import Approximation
import Bytes
import Models
import Program
import TestSupport
import Testing
import Validation

extension TinyCheckpoint {
  /// Replaces every element of the matrix `name`.
  fileprivate mutating func change(
    _ name: String, _ body: (_ row: Int, _ column: Int, _ value: Float) -> Float
  ) {
    guard var tensor = tensors[name] else { preconditionFailure("no tensor \(name)") }
    let width = tensor.shape[1]
    for index in tensor.values.indices {
      tensor.values[index] = body(index / width, index % width, tensor.values[index])
    }
    tensors[name] = tensor
  }
}

struct UnseenTests {
  /// Rows of the position table behind those of the text are ten times as large.
  @Test(arguments: [false, true]) func latePositionsStayRight(isEncoder: Bool) throws {
    var checkpoint = isEncoder ? TinyCheckpoint.bert() : .gpt2()
    let table = isEncoder ? "embeddings.position_embeddings.weight" : "transformer.wpe.weight"
    for row in 4...5 { checkpoint.changeRow(row, of: table) { $0 * 10 } }
    let model = try NumbersModel(checkpoint, texts: [[1, 4, 2], [0, 10, 3], [9, 6, 1, 2]])
    let rows = try #require(model.approximated.unusualRows)
    #expect(rows.positions == [4, 5] && rows.triedLength == 6)
    let warnings = model.approximated.report.warnings
    #expect(
      warnings.contains {
        $0.hasPrefix("positions from 4 on lie far outside what the text gave: the first norm")
          && $0.hasSuffix("; a text of 6 tokens was run, and ranges are as wide as it needs")
      }, "\(warnings)")
    for prompt in [[1, 4, 2, 8, 5, 7], [9, 9, 0, 3, 1], [5, 7]] {
      let error = try model.error(prompt)
      #expect(error.mean < 0.002 * max(error.of, 1), "\(prompt): \(error)")
    }
  }

  /// The embedding of token 9 is as large as others; one neuron that only it excites writes values
  /// a thousand times as large.
  private static var massive: TinyCheckpoint {
    var checkpoint = TinyCheckpoint.llama()
    let layer = "model.layers.0."
    checkpoint.change("model.embed_tokens.weight") { $1 == 3 ? ($0 == 9 ? 0.6 : 0) : $2 }
    checkpoint.change(layer + "self_attn.o_proj.weight") { row, _, value in row == 3 ? 0 : value }
    for name in ["mlp.gate_proj.weight", "mlp.up_proj.weight"] {
      checkpoint.change(layer + name) { $0 == 0 ? ($1 == 3 ? 20 : 0) : $2 }
    }
    checkpoint.change(layer + "mlp.down_proj.weight") { $1 == 0 ? 5 * $2 : $2 }
    return checkpoint
  }

  @Test func tokensThatBecomeLargeAreFound() throws {
    let texts = [[1, 4, 2, 3, 5, 6], [0, 10, 3, 7], [2, 5, 8, 6, 1, 2]]
    let model = try NumbersModel(Self.massive, texts: texts)
    let rows = try #require(model.approximated.unusualRows)
    #expect(rows.tokens == [] && rows.massiveTokens == [9])
    let warnings = model.approximated.report.warnings
    #expect(
      warnings.first?.hasPrefix(
        "1 token (9) becomes far larger in the first layers than any of the text; it was run with")
        == true, "\(warnings)")
    for prompt in [[9], [1, 9, 2], [9, 4, 2, 3], [1, 4, 2]] {
      let error = try model.error(prompt)
      #expect(error.mean < 0.005 * max(error.of, 1), "\(prompt): \(error)")
    }
    // With the token in the text there is nothing to say.
    #expect(
      try NumbersModel(Self.massive, texts: texts + [[9, 1]]).approximated.unusualRows == nil)
  }

  @Test func aSampleOfManyTokensHasTheFirstAndTheLast() throws {
    let folder = try ScratchFolder()
    var checkpoint = TinyCheckpoint.llama(layerCount: 1)
    checkpoint.add("model.embed_tokens.weight", [3000, 16])
    checkpoint.add("lm_head.weight", [3000, 16])
    checkpoint.configuration["vocab_size"] = 3000
    for row in [5, 2990] {
      checkpoint.changeRow(row, of: "model.embed_tokens.weight") { $0 * 1000 }
    }
    // Large in the residual stream as well as in the first normalisation.
    let loaded = try ModelLoader.load(path: checkpoint.write(to: folder))
    let calibration = try Calibration.observe(
      FloatInterpreter(loaded), texts: [[100, 200, 300], [7, 8]], source: "texts")
    let seen = try #require(calibration.ranges["layers.0.feedForwardResidual"]?[.output])
    let rows = try #require(calibration.vocabularyRanges["layers.0.feedForwardResidual"]?[.output])
    #expect(rows.upperBound > 4 * max(abs(seen.lowerBound), abs(seen.upperBound)))
  }

  /// A head of the first layer whose queries of token 9 look for token 8: both are as large as others, and
  /// stand in no text; by itself neither has large scores.
  @Test func headsThatLookForUnseenTokensStayRight() throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.change("model.embed_tokens.weight") { row, column, value in
      switch column {
      case 3: row == 9 ? 0.6 : 0
      case 4: row == 8 ? 0.6 : 0
      default: value
      }
    }
    for (name, input) in [("q_proj", 3), ("k_proj", 4)] {
      checkpoint.change("model.layers.0.self_attn.\(name).weight") { row, column, value in
        column == 3 || column == 4 ? (column == input && row == 0 ? 16 : 0) : value
      }
    }
    let texts = [[1, 4, 2, 3, 5, 6], [0, 10, 3, 7], [2, 5, 7, 6, 1, 2]]
    let model = try NumbersModel(checkpoint, texts: texts)
    for prompt in [[8, 9], [8, 1, 9], [9, 8, 4, 9], [1, 4, 2]] {
      let error = try model.error(prompt)
      #expect(error.mean < 0.005 * max(error.of, 1), "\(prompt): \(error)")
    }
  }

  /// Rows of a thousandth in front of a text of nothing else: every normalisation sees little.
  @Test func manySmallRowsTogetherStayRight() throws {
    let table = "model.embed_tokens.weight"
    var checkpoint = TinyCheckpoint.llama()
    for row in 7...10 { checkpoint.changeRow(row, of: table) { $0 * 1e-3 } }
    for layer in 0..<2 {
      checkpoint.scale("model.layers.\(layer).self_attn.o_proj.weight", by: 0.05)
    }
    let model = try NumbersModel(checkpoint, texts: EpsilonTests.texts)
    for prompt in [[7, 8, 9, 10], [10, 9], [9, 9, 8, 8, 7], [8, 1, 9], [7]] {
      let error = try model.error(prompt)
      #expect(error.mean < 0.003 * max(error.of, 1), "\(prompt): \(error)")
    }
  }

  /// What is zero or almost so has many fractional bits; a product has no more than the ring.
  @Test(arguments: [
    ("llama", "post_attention_layernorm.weight", Float(0)), ("llama", "v_proj.weight", 0),
    ("llama", "up_proj.weight", 1e-7), ("opt", "fc1.weight", 0), ("bert", "value.weight", 0),
  ]) func vanishingValuesAreLowered(family: String, name: String, factor: Float) throws {
    let all: [String: TinyCheckpoint] = [
      "llama": .llama(), "opt": .opt(), "bert": .bert(), "gpt2": .gpt2(),
    ]
    var checkpoint = try #require(all[family])
    for key in checkpoint.tensors.keys where key.hasSuffix(name) {
      checkpoint.scale(key, by: factor)
    }
    let model = try NumbersModel(checkpoint, texts: ScaleTests.texts)
    for prompt in ScaleTests.prompts {
      let error = try model.error(prompt)
      #expect(error.mean < 0.003 * max(error.of, 1), "\(prompt): \(error)")
    }
  }

  /// Where a variance may be far below epsilon, nothing lies below the range.
  @Test func rangesBeginAtEpsilon() throws {
    var calibration = Calibration()
    calibration.include(0.36...2, node: "norm", quantity: .variance)
    #expect(
      try calibration.normalisedRange("norm", epsilon: 1, headroom: 4) == 1...9)
    #expect(
      try calibration.normalisedRange("norm", epsilon: 0.1, headroom: 4).lowerBound == 0.19)
  }

  /// Three tokens over and over are no text, however many there are.
  @Test func fewDifferentTokensAreSaid() throws {
    let folder = try ScratchFolder()
    let loaded = try ModelLoader.load(path: TinyCheckpoint.llama().write(to: folder))
    let texts = [[Int]](repeating: [1, 2, 3, 1, 2], count: Calibration.fewTokenCount / 5)
    let notices = try Calibration.observe(FloatInterpreter(loaded), texts: texts, source: "texts")
      .textNotices(for: loaded.model)
    #expect(notices.count == 1)
    #expect(
      notices.first?.contains("which are 3 different ones: that is little of a vocabulary of 11")
        == true, "\(notices)")
  }
}
