// Which of the recipes that were tried a conversion takes.

public import Bytes
public import Models

/// Recipes beside each other, and the one that is chosen.
///
/// The quickest comes first; of those that differ from it by at most 2 %, the one with the fewest
/// correlations. The first whose answers keep the limits is chosen.
public struct RecipeSelection: Report, Sendable {
  public private(set) var trials: [RecipeTrial] = []
  public let criterion: Criterion
  private let isDecoder: Bool

  /// Recipes that take at most so much longer than the quickest are as quick.
  private static let equalTime = 1.02

  public init(for model: Model) {
    criterion = RecipeSelection.criterion(of: model)
    isDecoder = model.kind.isDecoder
  }

  /// The figure that says what a conversion of `model` leaves of its accuracy.
  public static func criterion(of model: Model) -> Criterion {
    if model.kind.isDecoder { return .maxPerplexityIncrease }
    guard model.output.isScores else { return .minCosine }
    // One score chooses no class.
    return model.nodes.last?.width == 1 ? .maxMeanLogitError : .minTop1
  }

  public mutating func add(_ trial: RecipeTrial) { trials.append(trial) }

  /// Adds what the texts say of a recipe that is possible.
  mutating func add(_ judgement: RecipeTrial.Judgement, of recipe: String) {
    for index in trials.indices where trials[index].recipe == recipe {
      guard let costs = trials[index].costs else { continue }
      trials[index].outcome = .possible(costs, judgement)
    }
  }

  /// The recipes that are possible, the cheapest first.
  var preferred: [RecipeTrial] {
    var rest = trials.filter { $0.costs != nil }
    var order: [RecipeTrial] = []
    while let quickest = rest.compactMap({ $0.costs?.seconds }).min() {
      let quick = rest.filter {
        ($0.costs?.seconds ?? .infinity) <= quickest * RecipeSelection.equalTime
      }
      // The first of equal ones: recipes come in the order of the shipped list.
      guard
        let next = quick.min(by: {
          ($0.costs?.correlationByteCountPerToken ?? .max)
            < ($1.costs?.correlationByteCountPerToken ?? .max)
        })
      else { break }
      order.append(next)
      rest.removeAll { $0.recipe == next.recipe }
    }
    return order
  }

  /// The recipe to take; nil where none that was judged keeps the limits.
  public var chosen: RecipeTrial? {
    preferred.first { $0.judgement?.objections.isEmpty == true }
  }

  /// What keeps each recipe from being chosen, for an error.
  public var failures: [String] {
    trials.map { trial in
      switch trial.outcome {
      case .excluded(let cause): "\(trial.recipe): \(cause)"
      case .possible(_, let judgement):
        "\(trial.recipe): \((judgement?.objections ?? []).joined(separator: ", "))"
      }
    }
  }

  private func figure(_ judgement: RecipeTrial.Judgement) -> String {
    switch criterion {
    case .maxPerplexityIncrease, .minTop1: Figure.percent(judgement.accuracy)
    default: Quantity.decimal(judgement.accuracy, fractionDigits: 6)
    }
  }

  /// Each trial with what is said of it.
  private var verdicts: [(trial: RecipeTrial, verdict: String)] {
    let chosen = chosen?.recipe
    return trials.map { trial in
      switch trial.outcome {
      case .excluded(let cause): (trial, cause)
      case .possible(_, nil): (trial, "not judged: costs more")
      case .possible(_, let judgement?):
        (trial, trial.recipe == chosen ? "chosen" : judgement.objections.first ?? "")
      }
    }
  }

  public var document: TextDocument {
    var table = TextTable([
      ("recipe", .left), ("flights", .right), (isDecoder ? "time a token" : "time a text", .right),
      ("correlations a token", .right), (criterion.title, .right), ("", .prose),
    ])
    for (trial, verdict) in verdicts {
      guard let costs = trial.costs else {
        table.addRow([trial.recipe, "", "", "", "", verdict])
        continue
      }
      table.addRow(
        [
          trial.recipe, String(costs.flights), Quantity.text(seconds: costs.seconds),
          Quantity.text(byteCount: costs.correlationByteCountPerToken),
          trial.judgement.map(figure) ?? "", verdict,
        ], isMarked: trial.judgement?.objections.isEmpty == false)
    }
    return TextDocument(table)
  }

  public var json: JSON {
    .array(
      verdicts.map { trial, verdict in
        guard let costs = trial.costs else {
          return ["recipe": .string(trial.recipe), "excluded": .string(verdict)]
        }
        return [
          "recipe": .string(trial.recipe), "flights": .integer(costs.flights),
          "seconds": .number(costs.seconds),
          "correlationBytesPerToken": .integer(costs.correlationByteCountPerToken),
          criterion.rawValue: .figure(trial.judgement?.accuracy),
          "objections": .array((trial.judgement?.objections ?? []).map(JSON.string)),
          "isChosen": .bool(trial.recipe == chosen?.recipe),
        ]
      })
  }
}
