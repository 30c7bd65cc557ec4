// Which of the recipes that were tried a conversion takes.

public import Bytes
public import Models

/// Recipes beside each other, and the one that is chosen.
///
/// Of those whose answers keep the limits the quickest is chosen; among the quickest, which differ by
/// at most 2 %, the one with the fewest correlations.
public struct RecipeSelection: Sendable {
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

  /// The recipe to take; nil where none keeps the limits.
  public var chosen: RecipeTrial? {
    let kept = trials.filter { $0.figures?.objections.isEmpty == true }
    guard let quickest = kept.compactMap({ $0.figures?.seconds }).min() else { return nil }
    let quick = kept.filter {
      ($0.figures?.seconds ?? .infinity) <= quickest * RecipeSelection.equalTime
    }
    // The first of equal ones: recipes come in the order of the shipped list.
    return quick.min {
      ($0.figures?.correlationByteCountPerToken ?? .max)
        < ($1.figures?.correlationByteCountPerToken ?? .max)
    }
  }

  /// What keeps each recipe from being chosen, for an error; empty where one can be.
  public var failures: [String] {
    guard chosen == nil else { return [] }
    return trials.map { trial in
      switch trial.outcome {
      case .excluded(let cause): "\(trial.recipe): \(cause)"
      case .measured(let figures): "\(trial.recipe): \(figures.objections.joined(separator: ", "))"
      }
    }
  }

  private func text(_ figures: RecipeTrial.Figures) -> String {
    switch criterion {
    case .maxPerplexityIncrease, .minTop1: Figure.percent(figures.accuracy)
    default: Quantity.decimal(figures.accuracy, fractionDigits: 6)
    }
  }

  private var verdicts: [(trial: RecipeTrial, verdict: String)] {
    let chosen = chosen
    return trials.map { trial in
      switch trial.outcome {
      case .excluded(let cause): (trial, cause)
      case .measured(let figures):
        (
          trial,
          trial.recipe == chosen?.recipe
            ? "chosen" : figures.objections.first.map { String($0.prefix(60)) } ?? ""
        )
      }
    }
  }

  public var text: String {
    var table = TextTable([
      ("recipe", .left), ("flights", .right), (isDecoder ? "time a token" : "time a text", .right),
      ("correlations a token", .right), (criterion.title, .right), ("", .left),
    ])
    for (trial, verdict) in verdicts {
      guard let figures = trial.figures else {
        table.addRow([trial.recipe, "", "", "", "", verdict])
        continue
      }
      table.addRow([
        trial.recipe, String(figures.flights), Quantity.text(seconds: figures.seconds),
        Quantity.text(byteCount: figures.correlationByteCountPerToken), text(figures), verdict,
      ])
    }
    return table.text
  }

  public var json: JSON {
    .array(
      verdicts.map { trial, verdict in
        guard let figures = trial.figures else {
          return ["recipe": .string(trial.recipe), "excluded": .string(verdict)]
        }
        return [
          "recipe": .string(trial.recipe), "flights": .integer(figures.flights),
          "seconds": .number(figures.seconds),
          "correlationBytesPerToken": .integer(figures.correlationByteCountPerToken),
          criterion.rawValue: .figure(figures.accuracy),
          "objections": .array(figures.objections.map(JSON.string)),
          "isChosen": .bool(trial.recipe == chosen?.recipe),
        ]
      })
  }
}
