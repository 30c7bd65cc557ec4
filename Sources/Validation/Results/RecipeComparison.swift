// Several conversions of a model side by side: what each leaves, costs and reveals.

import Approximation
public import Bytes
import Models
import OnlineRuntime
public import Program
public import Sharing

/// Conversions of one model evaluated on one set, from which a user chooses.
public struct RecipeComparison: Report {
  /// One conversion.
  struct Entry {
    var path: String
    var file: ModelFile
    var result: EvaluationResult
    var program: SecureProgram
    /// Cost of the prompt (or text) and of the session's last token.
    var prompt: StepCost
    var token: StepCost
    var correlations: CorrelationCost
  }

  let deployment: Deployment
  let session: SessionShape
  let networks: [NetworkProfile]
  private(set) var entries: [Entry] = []

  public init(
    deployment: Deployment = .twoServer, session: SessionShape,
    networks: [NetworkProfile] = NetworkProfile.all
  ) {
    self.deployment = deployment
    self.session = session
    self.networks = networks
  }

  /// Adds the conversion at `path`, evaluated as `result`.
  public mutating func add(
    path: String, file: ModelFile, evaluator: Evaluator, result: EvaluationResult
  ) {
    let cost = CostReport(
      program: evaluator.program, session: session, deployment: deployment, network: networks[0])
    entries.append(
      Entry(
        path: path, file: file, result: result, program: evaluator.program,
        prompt: cost.total.prompt, token: cost.total.token,
        correlations: cost.total.correlations))
  }

  /// Throws where `other` is no conversion of the model that `first` is of.
  public static func check(_ other: ModelFile, path: String, against first: ModelFile)
    throws(InputError)
  {
    let (model, expected) = (other.model, first.model)
    guard model.family == expected.family, model.kind == expected.kind,
      model.vocabularySize == expected.vocabularySize, model.weights == expected.weights
    else {
      throw InputError(
        path, place: "model",
        "is \(model.family) with \(model.weights.count) weights for \(model.vocabularySize) tokens, "
          + "the first file's is \(expected.family) with \(expected.weights.count) for "
          + "\(expected.vocabularySize)",
        hint: "compare conversions of one model")
    }
  }

  var isDecoder: Bool { session.kind.isDecoder }

  /// The step whose cost decides: a token of a decoder, a text of an encoder.
  func step(_ entry: Entry) -> StepCost { isDecoder ? entry.token : entry.prompt }

  func byteCount(_ cost: StepCost) -> Int {
    cost.byteCount(frameByteCount: Connection.frameHeaderByteCount)
  }

  func seconds(_ cost: StepCost, _ network: NetworkProfile) -> Double {
    network.seconds(cost)
  }

  /// Correlations of a session in both files, by each of its tokens.
  func correlationByteCountPerToken(_ entry: Entry) -> Int {
    let cost = entry.correlations
    return (cost.byteCount(party: 0) + cost.byteCount(party: 1)) / session.rowCapacity
  }

  /// Members of the recipes that are not the same in all.
  var differingMembers: [String] {
    let members = entries.compactMap { entry -> [String: JSON]? in
      if case .object(let members) = entry.file.recipe.json { return members }
      return nil
    }
    let names = Set(members.flatMap(\.keys)).subtracting(["name"])
    return names.filter { name in
      !members.allSatisfy { $0[name] == members.first?[name] }
    }.sorted()
  }

  /// What roles learn in some conversions only, or in all.
  func leakage(_ entry: Entry) -> [LeakageEntry] { LeakageEntry.report(entry.program, deployment) }
}
