// From a float model, a recipe and text to what is written, shared and run.

public import Approximation
public import Bytes
public import Models
public import Program

/// A model with its recipe settled, its ranges, and its program.
public struct ApproximatedModel: Sendable {
  /// Resolved for the model.
  public let recipe: Recipe
  /// Ranges of the original and, where the recipe has replacements that are no approximations, of the
  /// replaced graph: activations may grow where nothing normalises them.
  public let calibration: Calibration
  public let program: SecureProgram
  public let report: ConversionReport

  /// Calibrates on `texts`, settles `recipe`, weighing costs by `weights`, and lowers.
  ///
  /// `progress` is told how many passes over a text are done, of `passCount` times the texts.
  /// - Throws: `InputError` for texts, for inputs outside a replacement's range, and for values that
  ///   do not fit the ring.
  public init(
    _ interpreter: FloatInterpreter, recipe: Recipe, texts: [[Int]], source: String,
    weights: CostWeights = .reference, progress: (Int) -> Void = { _ in }
  ) throws(InputError) {
    let model = interpreter.model
    var calibration = try Calibration.observe(
      interpreter, texts: texts, source: source, progress: progress)
    let resolved = try recipe.resolved(
      for: model, calibration: calibration, weights: weights)
    if resolved.needsTraining(model) {
      let functions = try FunctionTable(model, recipe: resolved)
      let replaced = try Calibration.observe(
        interpreter.replacing(functions), texts: texts, source: source
      ) { progress(texts.count + $0) }
      calibration.include(rangesOf: replaced)
    }
    let program = try SecureProgram.lower(model, recipe: resolved, calibration: calibration)
    report = try ConversionReport(
      model: model, recipe: resolved, calibration: calibration, program: program)
    self.recipe = resolved
    self.calibration = calibration
    self.program = program
  }

  /// How often `recipe` makes the initialiser run each text.
  public static func passCount(_ recipe: Recipe, _ model: Model) -> Int {
    recipe.needsTraining(model) ? 2 : 1
  }
}
