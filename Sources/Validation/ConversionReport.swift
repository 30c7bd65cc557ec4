// What `lodge-model approximate` tells: ranges that were seen and what the program will cost.

public import Approximation
public import Bytes
import Foundation
public import Models
public import Program

/// The result of a conversion, as a table for people and JSON for machines.
public struct ConversionReport {
  private let model: Model
  private let recipe: Recipe
  private let calibration: Calibration
  private let program: SecureProgram
  private let notice: String?

  /// - Parameter notice: which file of the checkpoint was taken, where there was a choice.
  public init(
    model: Model, recipe: Recipe, calibration: Calibration, program: SecureProgram,
    notice: String? = nil
  ) {
    self.notice = notice
    self.model = model
    self.recipe = recipe
    self.calibration = calibration
    self.program = program
  }

  /// Non-linear nodes with the range of what they read and what stands for them.
  private var rows: [(node: String, quantity: String, range: ClosedRange<Double>, by: String)] {
    model.nodes.indices.compactMap { index in
      let node = model.nodes[index]
      func seen(_ name: String, _ quantity: ObservedQuantity) -> ClosedRange<Double>? {
        calibration.ranges[name]?[quantity]
      }
      switch node.operation {
      case .layerNorm:
        guard let range = seen(node.name, .variance) else { return nil }
        return (node.name, "variance", range, "exact variance, table of 1/sqrt")
      case .rmsNorm:
        guard let range = seen(node.name, .variance) else { return nil }
        return (node.name, "mean square", range, "exact mean square, table of 1/sqrt")
      case .attention:
        guard let range = seen(node.name, .scores) else { return nil }
        let exp = "P\(recipe.expDegree)(x/\(1 << recipe.expSquarings))^\(1 << recipe.expSquarings)"
        return (node.name, "scores", range, "max, clip \(recipe.expClip), \(exp), table of 1/x")
      case .activation(let input, let function):
        guard let range = seen(model.nodes[input].name, .output) else { return nil }
        let text: String =
          switch function {
          case .relu: "exact ReLU"
          case .gelu, .geluTanh:
            "x/2 + P\(recipe.geluDegree)(|x|) for |x| < \(recipe.geluLimit)"
          case .silu: "x/2 + P\(recipe.siluDegree)(|x|) for |x| < \(recipe.siluLimit)"
          }
        return (node.name, "input", range, text)
      case .embed, .linear, .rotary, .add, .multiply: return nil
      }
    }
  }

  public var text: String {
    var table = TextTable([
      ("operation", .left), ("observed", .left), ("minimum", .right), ("maximum", .right),
      ("replaced by", .left),
    ])
    for row in rows {
      table.addRow([
        row.node, row.quantity, Quantity.decimal(row.range.lowerBound, fractionDigits: 4),
        Quantity.decimal(row.range.upperBound, fractionDigits: 4), row.by,
      ])
    }
    return """
      \(table.text)

      Calibrated on \(calibration.textCount) texts, \(calibration.tokenCount) tokens; ranges are \
      kept with a headroom of \(recipe.headroom).
      Recipe \(recipe.name), \(recipe.fractionalBits) fractional bits, embedding held by \
      \(recipe.embedding == .secret ? "nobody (secret)" : "the client").
      Program: \(program.nodes.count) operations, \(program.weights.count) shared weights; see \
      `lodge-check program` and `lodge-check cost`.
      """
  }

  public var json: JSON {
    [
      "recipe": recipe.json, "calibration": calibration.json,
      "operationCount": .integer(program.nodes.count),
      "weightCount": .integer(program.weights.count),
      "notice": notice.map(JSON.string) ?? .null,
    ]
  }
}
