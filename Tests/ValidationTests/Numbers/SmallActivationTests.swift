// Activations whose inputs are small, and weights behind them that make up for it.

import Approximation
import Bytes
import Models
import Program
import TestSupport
import Testing
import Validation

struct SmallActivationTests {
  /// What an activation reads is multiplied by the factor, and what reads it divided.
  static let changes = [
    ScaleTests.Change(
      name: "llama gate", checkpoint: .llama(), multiplied: ["gate_proj.weight"],
      divided: ["down_proj.weight"]),
    ScaleTests.Change(
      name: "gpt2 fc", checkpoint: .gpt2(), multiplied: ["mlp.c_fc.weight", "mlp.c_fc.bias"],
      divided: ["mlp.c_proj.weight"]),
    ScaleTests.Change(
      name: "bert intermediate", checkpoint: .bert(),
      multiplied: ["intermediate.dense.weight", "intermediate.dense.bias"],
      divided: ["layer.0.output.dense.weight", "layer.1.output.dense.weight"]),
  ]

  /// Not the same function, as activations are not linear; but its values are as large.
  @Test(arguments: changes, [Float(0.1), 1e-2, 1e-3, 1e-4])
  func theirErrorsShrinkWithThem(_ change: ScaleTests.Change, factor: Float) throws {
    for name in ["accurate", "fitted"] {
      let recipe = try #require(Recipe.shipped(name))
      // Fits are allowed 2^-10, about as much as the polynomials of "minimax" have.
      var usual = Recipe.accurate
      if name == "fitted" {
        for operationClass in [OperationClass.gelu, .geluTanh, .silu] {
          usual.choose(
            ReplacementChoice(MinimaxActivation.standard(for: operationClass)), for: operationClass)
        }
      }
      let plain = try NumbersModel(change.checkpoint, texts: ScaleTests.texts, recipe: usual)
      let model = try NumbersModel(change.applied(factor), texts: ScaleTests.texts, recipe: recipe)
      for prompt in ScaleTests.prompts {
        let (before, after) = (try plain.error(prompt), try model.error(prompt))
        let scale = max(after.of / before.of, 1)
        #expect(
          after.mean <= 5 * scale * before.mean && after.largest <= 6 * scale * before.largest,
          "\(name), \(prompt): \(after) was \(before)")
      }
    }
  }

  /// One polynomial as precise as its values are small, without a comparison.
  @Test(arguments: [OperationClass.gelu, .geluTanh, .silu], [1e-6, 1e-3, 0.1, 0.4])
  func onePolynomialServes(_ operationClass: OperationClass, bound: Double) throws {
    let activation = try #require(operationClass.activation)
    for choice in [
      LinesActivation.accurate(for: operationClass) as any Replacement,
      MinimaxActivation.standard(for: operationClass), FittedActivation(),
    ] {
      var node = LoneNode(
        kind: .decoder, width: 8, operation: .activation(0, activation), bound: bound,
        outputBound: bound, choice: ReplacementChoice(choice))
      try node.resolve()
      guard case .activation(let function)? = try node.form() else {
        Issue.record("no activation")
        return
      }
      if bound < 0.2 { #expect(function.knots.isEmpty) }
      for step in -64...64 where function.knots.isEmpty {
        let x = bound * Double(step) / 64
        #expect(abs(function(x) - activation.function(x)) < bound * 0x1p-10)
      }
      // The client's rows have 16 bits, whatever their size.
      guard bound >= 0.1 else { continue }
      let values = [-1, -0.7, -0.3, 0, 0.1, 0.5, 0.9, 1].map { $0 * bound }
      for (x, y) in zip(values, try node.evaluate([values])[0]) where function.knots.isEmpty {
        #expect(abs(y - activation.function(x)) < bound * 0x1p-9, "\(x) gives \(y)")
      }
    }
  }
}
