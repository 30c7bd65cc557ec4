// What `lodge-model approximate` tells: what stands for each operation, and what it costs.

public import Approximation
public import Bytes
public import Models
public import Program

/// The result of a conversion, as a table for people and JSON for machines.
public struct ConversionReport: Sendable {
  private let recipe: Recipe
  private let calibration: Calibration
  private let program: SecureProgram
  private let replacements: ReplacementReport

  /// - Throws: `InputError` where the recipe is not resolved.
  public init(
    model: Model, recipe: Recipe, calibration: Calibration, densities: (any DensitySource)? = nil,
    program: SecureProgram
  ) throws(InputError) {
    self.recipe = recipe
    self.calibration = calibration
    self.program = program
    replacements = try ReplacementReport(
      model: model, recipe: recipe, calibration: calibration, densities: densities,
      program: program)
  }

  public var text: String {
    """
    \(replacements.text)

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
      "recipe": recipe.json, "replacements": replacements.json,
      "calibration": calibration.json,
      "operationCount": .integer(program.nodes.count),
      "weightCount": .integer(program.weights.count),
    ]
  }
}
