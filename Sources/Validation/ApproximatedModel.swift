// From a float model, a recipe and what was observed to what is written, shared and run.

public import Approximation
public import Bytes
public import Models
public import Program

/// A model with its recipe settled, its weights, its ranges, and its program.
public struct ApproximatedModel: Sendable {
  /// Resolved for the model.
  public let recipe: Recipe
  /// Observed of the original and, where the recipe has replacements that are no approximations,
  /// with the ranges of the replaced graph: activations may grow where nothing normalises them.
  public let calibration: Calibration
  /// The model's own, or those that were refitted.
  public let weights: any WeightSource
  /// What was refitted, where that was asked for.
  public let repair: Repair?
  /// Rows of the vocabulary far outside what text gave, where there are any.
  public let unusualRows: UnusualRows?
  public let program: SecureProgram
  public let report: ConversionReport

  /// Text that the replaced graph is run on.
  public struct Texts: Sendable {
    public var tokens: [[Int]]
    /// Their file, for errors.
    public var source: String

    public init(_ tokens: [[Int]], source: String) {
      self.tokens = tokens
      self.source = source
    }
  }

  /// Settles `recipe` for what `calibration` saw of the original model, its precision included, and
  /// lowers.
  ///
  /// - Parameters:
  ///   - texts: needed where `needsTexts` says so.
  ///   - repairs: whether linear layers are refitted to the original's outputs.
  ///   - costs: what rounds, bytes and comparisons take where a recipe weighs them.
  ///   - progress: told how many evaluations of nodes are done, and of how many.
  /// - Throws: `InputError` for inputs outside a replacement's range, and for values that do not
  ///   fit the ring.
  public init(
    _ model: Model, weights: any WeightSource, recipe: Recipe, calibration: Calibration,
    texts: Texts? = nil, repairs: Bool = false, costs: CostWeights = .reference,
    memory: MemoryBudget = .default, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(InputError) {
    var calibration = calibration
    var unusualRows: UnusualRows?
    if !calibration.coversVocabulary(of: model) || calibration.hasUnusualRows(of: model) {
      let interpreter = try FloatInterpreter(
        model, weights: ReplacedWeights(weights), memory: memory)
      if !calibration.coversVocabulary(of: model) {
        try calibration.includeVocabulary(interpreter, source: "model")
      }
      unusualRows = try calibration.includeUnusualRows(
        interpreter, texts: texts?.tokens ?? [], source: texts?.source ?? "model")
    }
    var repair: Repair?
    // What is seen with replacements in place is seen with those of one precision.
    var settled: Recipe?
    if ApproximatedModel.needsTexts(recipe, model, repairs: repairs) {
      let resolved = try recipe.exact.resolved(
        for: model, calibration: calibration, weights: costs)
      settled = resolved
      guard let texts else {
        throw InputError(
          "recipe", place: recipe.name, "must see text with its replacements in place",
          hint: "give --tokens as well")
      }
      let functions = try FunctionTable(model, recipe: resolved)
      if repairs {
        repair = try Repair(
          model, weights: weights, functions: functions, texts: texts.tokens,
          source: texts.source, memory: memory, progress: progress)
      }
      let interpreter = try FloatInterpreter(
        model, weights: ReplacedWeights(repair?.weights ?? weights), functions: functions,
        memory: memory)
      var replaced = try Calibration.observe(
        interpreter, texts: texts.tokens, source: texts.source, progress: progress)
      _ = try replaced.includeUnusualRows(
        interpreter, texts: texts.tokens, source: texts.source)
      calibration.include(rangesOf: replaced)
    }
    let kept = repair?.weights ?? weights
    try calibration.measureWeights(of: model, ReplacedWeights(kept), memory: memory)
    let plan: PrecisionPlan
    do throws(InputError) {
      plan =
        if let settled {
          PrecisionPlan(
            recipe: settled,
            program: try SecureProgram.lower(model, recipe: settled, calibration: calibration))
        } else {
          try PrecisionPlan(model, recipe: recipe, calibration: calibration, weights: costs)
        }
    } catch {
      // Ranges that are too wide mostly come of rows that no text has.
      let hints = [error.hint] + (unusualRows?.notices ?? [])
      throw InputError(
        error.source, place: error.place, error.cause,
        hint: hints.filter { !$0.isEmpty }.joined(separator: "; "))
    }
    report = try ConversionReport(
      model: model, recipe: plan.recipe, calibration: calibration, program: plan.program,
      repair: repair, unusualRows: unusualRows, precisions: plan.candidates)
    self.recipe = plan.recipe
    self.calibration = calibration
    self.weights = kept
    self.repair = repair
    self.unusualRows = unusualRows
    program = plan.program
  }

  /// Whether the replaced graph has to be run on text.
  public static func needsTexts(_ recipe: Recipe, _ model: Model, repairs: Bool) -> Bool {
    repairs || recipe.needsTraining(model)
  }
}
