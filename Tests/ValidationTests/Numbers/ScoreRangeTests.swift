// Scores of attention that are small, or unlike those of the calibration text.

import Approximation
import Bytes
import Models
import Program
import TestSupport
import Testing
import Validation

struct ScoreRangeTests {
  /// Scores that are nearly equal: less than what some kernels compare them with.
  @Test(arguments: ["accurate", "puma", "bolt", "bumblebee", "fitted", "mpcformer", "power"])
  func smallScoresAreTaken(_ name: String) throws {
    let recipe = try #require(Recipe.shipped(name))
    var checkpoint = TinyCheckpoint.llama()
    for tensor in checkpoint.tensors.keys where tensor.hasSuffix("q_proj.weight") {
      checkpoint.scale(tensor, by: 1e-3)
    }
    let model = try NumbersModel(checkpoint, texts: ScaleTests.texts, recipe: recipe)
    guard !recipe.needsTraining(model.loaded.model) else { return }
    let plain = try NumbersModel(.llama(), texts: ScaleTests.texts, recipe: recipe)
    for prompt in ScaleTests.prompts {
      #expect(try model.error(prompt).mean <= 3 * plain.error(prompt).mean + 1e-4)
    }
  }

  /// Queries with a large bias and a part of their own: scores of a token with itself alone are far
  /// below the largest of many.
  @Test func shortTextsOfAnEncoderAreSeen() throws {
    var checkpoint = TinyCheckpoint.bert()
    for tensor in checkpoint.tensors.keys {
      if tensor.hasSuffix("self.query.bias") { checkpoint.scale(tensor, by: 300) }
    }
    let texts = (0..<6).map { seed in (0..<6).map { ($0 * (seed + 2) + seed) % 11 } }
    let model = try NumbersModel(checkpoint, texts: texts)
    let plain = try NumbersModel(.bert(), texts: texts)
    for text in texts {
      for length in [1, 2, 6] {
        let prompt = Array(text.prefix(length))
        let (before, after) = (try plain.error(prompt), try model.error(prompt))
        #expect(after.largest <= 4 * before.largest, "\(prompt): \(after) was \(before)")
      }
    }
  }

  /// The mean of many rows is shorter than one row by itself, which a text of one token is.
  @Test func shortTextsOfAnEmbeddingAreSeen() throws {
    let types = ["Transformer", "Pooling", "Normalize"]
    let modules = types.enumerated().map { index, type -> JSON in
      [
        "idx": .integer(index), "name": .string("\(index)"),
        "path": .string(index == 0 ? "" : "\(index)_\(type)"),
        "type": .string("sentence_transformers.models.\(type)"),
      ]
    }
    let texts = (0..<6).map { seed in (0..<6).map { ($0 * (seed + 2) + seed) % 11 } }
    let model = try NumbersModel(
      .bert(), texts: texts, output: .embedding,
      files: [
        "modules.json": .array(modules),
        "1_Pooling/config.json": ["pooling_mode_mean_tokens": true],
      ])
    let nodes = model.loaded.model.nodes
    let norm = try #require(nodes.last { if case .rmsNorm = $0.operation { true } else { false } })
    let calibration = try Calibration.observe(model.float, texts: texts, source: "texts")
    let range = try #require(calibration.ranges[norm.name]?[.variance])
    for text in texts {
      _ = try model.float.run(tokens: [text[0]]) { node, kind, values in
        guard kind == .variance, nodes[node].name == norm.name else { return }
        for value in values { #expect(Double(value) <= range.upperBound * 1.0001) }
      }
    }
    for token in 0..<11 {
      let error = try model.error([token])
      #expect(error.largest < 0.01 * error.of, "\(token): \(error)")
    }
  }

  /// Of a few different tokens nothing is concluded about a head.
  @Test func fewTokensLeaveRoom() throws {
    var checkpoint = TinyCheckpoint.llama()
    for tensor in checkpoint.tensors.keys where tensor.hasSuffix("q_proj.weight") {
      checkpoint.scale(tensor, by: 8)
    }
    let model = try NumbersModel(checkpoint, texts: [[1, 4, 1, 4]])
    for prompt in [[7, 0, 9, 9, 5], [10, 8], [3, 3, 3], [2, 6, 5, 0, 10]] {
      // Without room answers were off by more than logits are large, and by a tenth of them where
      // only scores had it.
      let few = try model.error(prompt)
      #expect(few.largest <= few.of / 64, "\(prompt): \(few)")
    }
  }

  /// A channel that no token of the text has and some others do, from which scores of hundreds come.
  @Test func scoresOfUnseenTokensAreSeen() throws {
    var checkpoint = TinyCheckpoint.bert()
    for token in 0..<11 {
      checkpoint.set("word_embeddings.weight", row: token, column: 3, to: token < 6 ? 0 : 4)
    }
    for row in [0, 4] {
      checkpoint.set("layer.0.attention.self.query.weight", row: row, column: 3, to: 4)
      checkpoint.set("layer.0.attention.self.key.weight", row: row, column: 3, to: 4)
    }
    let texts = [[0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 2, 4], [2, 2, 5, 0, 1, 3]]
    let model = try NumbersModel(checkpoint, texts: texts)
    let full = try NumbersModel(checkpoint, texts: texts + [[6, 7, 8, 9, 10], [1, 9, 3, 8]])
    for prompt in [[1, 7, 2], [8, 9, 10, 6], [0, 6, 5, 3], [7]] {
      let (few, many) = (try model.error(prompt), try full.error(prompt))
      #expect(few.largest <= 4 * many.largest, "\(prompt): \(few) beside \(many)")
    }
  }
}

extension TinyCheckpoint {
  /// Sets an element of the tensor whose name ends with `suffix`.
  fileprivate mutating func set(_ suffix: String, row: Int, column: Int, to value: Float) {
    for name in tensors.keys where name.hasSuffix(suffix) {
      guard var tensor = tensors[name] else { continue }
      tensor.values[row * tensor.shape[1] + column] = value
      tensors[name] = tensor
    }
  }
}
