// One recipe tried on a model: what it costs, what it leaves of the accuracy, or why it cannot be.

public import Approximation
import Bytes
public import Models
public import Program
import Sharing

/// What a conversion by one recipe costs and leaves, or why there is none.
public struct RecipeTrial: Sendable {
  /// Of a decoder's last token, or of an encoder's text.
  public struct Costs: Equatable, Sendable {
    public var flights: Int
    /// As the client sees it, without what the parties compute.
    public var seconds: Double
    /// Of a session by its tokens, both files together.
    public var correlationByteCountPerToken: Int
  }

  /// What the texts that were held out say.
  public struct Judgement: Equatable, Sendable {
    /// The figure of `RecipeSelection.criterion`.
    public var accuracy: Double
    /// Why its answers cannot be trusted, and limits that it misses; empty where it can be taken.
    public var objections: [String]
  }

  public enum Outcome: Equatable, Sendable {
    /// The judgement is nil where nobody needed it.
    case possible(Costs, Judgement?)
    /// Not tried, or not possible: why.
    case excluded(String)
  }

  public let recipe: String
  public internal(set) var outcome: Outcome

  public init(recipe: String, outcome: Outcome) {
    self.recipe = recipe
    self.outcome = outcome
  }

  var costs: Costs? {
    if case .possible(let costs, _) = outcome { return costs }
    return nil
  }

  var judgement: Judgement? {
    if case .possible(_, let judgement) = outcome { return judgement }
    return nil
  }
}

/// What all recipes are tried with.
public struct RecipeTrials: Sendable {
  public let model: LoadedModel
  public let weights: EqualisedWeights
  public let calibration: Calibration
  public let texts: ApproximatedModel.Texts
  public let evaluation: EvaluationSet
  public let deployment: Deployment
  public let network: NetworkProfile
  public let thresholds: Thresholds
  public let memory: MemoryBudget

  public init(
    model: LoadedModel, weights: EqualisedWeights, calibration: Calibration,
    texts: ApproximatedModel.Texts, evaluation: EvaluationSet, deployment: Deployment,
    network: NetworkProfile, thresholds: Thresholds, memory: MemoryBudget
  ) {
    self.model = model
    self.weights = weights
    self.calibration = calibration
    self.texts = texts
    self.evaluation = evaluation
    self.deployment = deployment
    self.network = network
    self.thresholds = thresholds
    self.memory = memory
  }

  /// Why `recipe` is not for this model and deployment, unless it is asked for by name.
  public func objection(to recipe: Recipe) -> String? {
    if !recipe.permutedClasses.isEmpty { return "shows party 1 permuted values" }
    if recipe.needsTraining(model.model) { return "needs training (tools/finetune)" }
    return nil
  }

  /// Replaces the model's operations by `recipe`.
  ///
  /// - Throws: `InputError` where the recipe does not fit what calibration saw.
  func approximated(_ recipe: Recipe) throws(InputError) -> ApproximatedModel {
    try ApproximatedModel(
      model.model, weights: weights, recipe: recipe, calibration: calibration, texts: texts,
      costs: CostWeights(
        roundTripSeconds: network.roundTripSeconds, bitsPerSecond: network.bitsPerSecond),
      memory: memory)
  }

  /// What `program` costs.
  func costs(of program: SecureProgram) throws(InputError) -> RecipeTrial.Costs {
    let report = try costReport(of: program)
    let step = report.isDecoder ? report.total.token : report.total.prompt
    let correlations = report.total.correlations
    return RecipeTrial.Costs(
      flights: step.roundCount, seconds: report.times.last?.time.total ?? 0,
      correlationByteCountPerToken: (correlations.byteCount(party: 0)
        + correlations.byteCount(party: 1)) / report.session.rowCapacity)
  }

  private func costReport(of program: SecureProgram) throws(InputError) -> CostReport {
    try CostReport(
      program: program, session: CostReport.session(of: program, prompt: nil, new: nil),
      deployment: deployment, network: network)
  }

  /// Writes `approximated` to `path`, and judges it by the texts that were held out.
  func judge(
    _ approximated: ApproximatedModel, into path: String,
    progress: @escaping @Sendable (Int) -> Void
  ) throws(InputError) -> (judgement: RecipeTrial.Judgement, report: ValidationReport) {
    try ModelFile.write(
      to: path, model: model.model, recipe: approximated.recipe,
      calibration: approximated.calibration,
      checkpoint: FilePaths.lastComponent(of: model.path),
      weights: ReplacedWeights(approximated.weights), memory: memory)
    let file = try ModelFile(path: path)
    let evaluator = try Evaluator(file, path: path, memory: memory)
    let result = try EvaluationResult(evaluator, evaluation, progress: progress)
    let report = try ValidationReport(
      path: path, file: file, evaluator: evaluator, result: result,
      cost: costReport(of: evaluator.program), thresholds: thresholds)
    let judgement = RecipeTrial.Judgement(
      accuracy: try RecipeSelection.criterion(of: model.model).value(in: result).get(),
      objections: report.faults + report.misses.map(\.text))
    return (judgement, report)
  }
}
