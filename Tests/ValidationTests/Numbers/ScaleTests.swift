// The same function with other scales inside: as precise in the ring as it was.

import Approximation
import Bytes
import Models
import Program
import TestSupport
import Testing
import Validation

struct ScaleTests {
  static let texts = [[1, 4, 2, 8, 5, 7], [0, 10, 3], [9, 9, 6, 1, 2]]
  static let prompts = [[1, 4, 2, 3], [7, 0, 9, 9, 5], [10, 8]]

  /// Tensors of every layer by what follows the layer's key, and those outside of layers.
  struct Change: CustomTestStringConvertible, Sendable {
    var name: String
    var checkpoint: TinyCheckpoint
    /// Ends of the names of tensors that are multiplied by the factor, and divided by it.
    var multiplied: [String]
    var divided: [String]
    var testDescription: String { name }

    func applied(_ factor: Float) -> TinyCheckpoint {
      var result = checkpoint
      for name in checkpoint.tensors.keys {
        if multiplied.contains(where: name.hasSuffix) { result.scale(name, by: factor) }
        if divided.contains(where: name.hasSuffix) { result.scale(name, by: 1 / factor) }
      }
      return result
    }
  }

  static let changes = [
    Change(
      name: "llama v o", checkpoint: .llama(), multiplied: ["v_proj.weight"],
      divided: ["o_proj.weight"]),
    Change(
      name: "llama q k", checkpoint: .llama(), multiplied: ["q_proj.weight"],
      divided: ["k_proj.weight"]),
    Change(
      name: "llama up down", checkpoint: .llama(), multiplied: ["up_proj.weight"],
      divided: ["down_proj.weight"]),
    Change(
      name: "opt v o", checkpoint: .opt(), multiplied: ["v_proj.weight", "v_proj.bias"],
      divided: ["out_proj.weight"]),
    Change(
      name: "opt q k", checkpoint: .opt(), multiplied: ["q_proj.weight", "q_proj.bias"],
      divided: ["k_proj.weight", "k_proj.bias"]),
    Change(
      name: "opt fc1 fc2", checkpoint: .opt(), multiplied: ["fc1.weight", "fc1.bias"],
      divided: ["fc2.weight"]),
    Change(
      name: "bert v o", checkpoint: .bert(), multiplied: ["self.value.weight", "self.value.bias"],
      divided: ["attention.output.dense.weight"]),
    Change(
      name: "bert tables", checkpoint: .bert(),
      multiplied: [
        "word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight",
      ],
      divided: []),
    Change(
      name: "gpt2 tables", checkpoint: .gpt2(), multiplied: ["wte.weight", "wpe.weight"],
      divided: []),
    Change(
      name: "llama gamma", checkpoint: .llama(), multiplied: ["layernorm.weight"],
      divided: [
        "q_proj.weight", "k_proj.weight", "v_proj.weight", "gate_proj.weight", "up_proj.weight",
      ]),
  ]

  @Test(arguments: changes, [Float(1e-1), 1e-2, 1e-3, 1e-4, 1e2, 1e4])
  func scaledTensorsStayPrecise(_ change: Change, factor: Float) throws {
    let plain = try NumbersModel(change.checkpoint, texts: Self.texts)
    let model = try NumbersModel(change.applied(factor), texts: Self.texts)
    let (before, after) = (
      try plain.error(over: Self.prompts), try model.error(over: Self.prompts)
    )
    // Tied tables scale the logits, too.
    let scale = after.of / before.of
    print(
      "scale", change.name.replacing(" ", with: "_"), factor, after.mean / before.mean / scale,
      after.largest / before.largest / scale)
    #expect(after.mean <= 3 * scale * before.mean && after.largest <= 3 * scale * before.largest)
  }
}
