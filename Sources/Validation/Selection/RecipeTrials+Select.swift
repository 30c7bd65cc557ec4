// Tries recipes one after the other and keeps the converted model of the best.

public import Approximation
public import Bytes
import Foundation
import Models
import Program
import Sharing

extension RecipeTrials {
  /// What came of it.
  public struct Selected {
    public var selection: RecipeSelection
    /// The converted model; nil where no recipe keeps the limits.
    public var modelPath: String?
    /// The validation of the chosen recipe, or of the only one that was tried.
    public var validation: JSON?
    /// What its result may be worse by.
    public var warnings: [String] = []
  }

  /// Tries `recipes` and leaves the file of the chosen one alone below `folder`.
  ///
  /// - Parameters:
  ///   - isNamed: Whether the user named the recipe: it is tried whatever speaks against it.
  ///   - started: Is told of each recipe that is tried, and gives what is told the evaluated tokens.
  /// - Throws: `InputError` where a named recipe cannot be.
  public func select(
    _ recipes: [Recipe], isNamed: Bool, in folder: String,
    started: (Recipe) -> @Sendable (Int) -> Void
  ) throws(InputError) -> Selected {
    var selected = Selected(selection: RecipeSelection(for: model.model))
    var names: [[UInt8]: String] = [:]
    var results: [String: (validation: JSON, warnings: [String])] = [:]
    func path(_ name: String) -> String { "\(folder)/try-\(name)/model.lodge" }
    func remove(_ name: String) {
      try? FileManager.default.removeItem(atPath: FilePaths.folder(of: path(name)))
    }
    func attempt(_ recipe: Recipe) throws(InputError) -> RecipeTrial.Outcome {
      let approximated = try approximated(recipe)
      let digest = approximated.program.digest
      if let name = names[digest], name != recipe.name {
        return .excluded("the same program as \(name)")
      }
      names[digest] = recipe.name
      try Folder.make(FilePaths.folder(of: path(recipe.name)))
      let (figures, report) = try measure(
        approximated, into: path(recipe.name), progress: started(recipe))
      results[recipe.name] = (report.json, approximated.report.warnings)
      return .measured(figures)
    }
    for recipe in recipes {
      if !isNamed, let objection = objection(to: recipe) {
        selected.selection.add(RecipeTrial(recipe: recipe.name, outcome: .excluded(objection)))
        continue
      }
      let outcome: RecipeTrial.Outcome
      do throws(InputError) { outcome = try attempt(recipe) } catch {
        guard !isNamed, error.systemCode == nil else { throw error }
        outcome = .excluded("\(error.place): \(error.cause)")
      }
      selected.selection.add(RecipeTrial(recipe: recipe.name, outcome: outcome))
      // Models are large: only the best so far stays.
      let best = selected.selection.chosen?.recipe
      for trial in selected.selection.trials where trial.recipe != best { remove(trial.recipe) }
    }
    guard let chosen = selected.selection.chosen else {
      if recipes.count == 1 { selected.validation = results[recipes[0].name]?.validation }
      return selected
    }
    if !FilePaths.exists(path(chosen.recipe)),
      let recipe = recipes.first(where: { $0.name == chosen.recipe })
    {
      // It came back when a quicker one took the place of those that it lost to.
      _ = try attempt(recipe)
    }
    selected.modelPath = path(chosen.recipe)
    selected.validation = results[chosen.recipe]?.validation
    selected.warnings = results[chosen.recipe]?.warnings ?? []
    return selected
  }
}
