// SwiGLU whose product comes with the lookup of SiLU.

import Approximation
import Program
import TestSupport
import Testing

@Suite struct GatedLookupTests {
  /// Where sums of the stream leave room, no layer multiplies what it has looked up.
  @Test func productsComeWithLookups() throws {
    var recipe = NumbersModel.recipe
    recipe.fractionalBits = 14
    let model = try NumbersModel(.llama(), texts: ScaleTests.texts, recipe: recipe)
    var (factors, products) = (0, 0)
    for node in model.program.nodes where node.label.contains("feedForward") {
      switch node.operation {
      case .lookup(_, let function): factors += function.factor == nil ? 0 : 1
      case .multiply: products += node.label.hasSuffix("product") ? 1 : 0
      default: break
      }
    }
    #expect(factors == 2 && products == 0)
    for prompt in ScaleTests.prompts {
      let error = try model.error(prompt)
      #expect(error.mean < 2e-3 && error.largest < 2e-2, "\(error)")
    }
  }

  /// An activation that waits for its reader is compared as its own replacement says.
  @Test func comparisonsAreTheActivations() throws {
    var recipe = NumbersModel.recipe
    var choice = ReplacementChoice(LinesActivation(maximumError: 0x1p-6))
    choice.comparison = .bits
    recipe.choose(choice, for: .silu)
    let program = try NumbersModel(.llama(), texts: ScaleTests.texts, recipe: recipe).program
    let comparisons = program.nodes.compactMap { node -> ComparisonProtocol? in
      guard node.label.hasSuffix("feedForward.activation"),
        case .piecewiseLinear(_, let function) = node.operation
      else { return nil }
      return function.comparison
    }
    #expect(!comparisons.isEmpty && comparisons.allSatisfy { $0 == .bits })
  }
}
