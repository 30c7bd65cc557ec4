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
    /// The validation of the chosen recipe.
    public var validation: JSON?
    /// What its result may be worse by.
    public var warnings: [String] = []
  }

  /// Tries `recipes` and leaves the file of the chosen one alone below `folder`.
  ///
  /// - Parameters:
  ///   - isNamed: Whether the user named the recipe: it is tried whatever speaks against it.
  ///   - judgesAll: Whether recipes that cost more than the chosen one are judged as well.
  ///   - started: Is told of each recipe that is judged, and gives what is told the evaluated tokens.
  /// - Throws: `InputError` where a named recipe cannot be.
  public func select(
    _ recipes: [Recipe], isNamed: Bool, judgesAll: Bool, in folder: String,
    started: (String) -> @Sendable (Int) -> Void
  ) throws(InputError) -> Selected {
    var selected = Selected(selection: RecipeSelection(for: model.model))
    var possible: [String: ApproximatedModel] = [:]
    var names: [[UInt8]: String] = [:]
    for recipe in recipes {
      let outcome: RecipeTrial.Outcome
      if !isNamed, let objection = objection(to: recipe) {
        outcome = .excluded(objection)
      } else {
        do throws(InputError) {
          let approximated = try approximated(recipe)
          let digest = approximated.program.digest
          if let name = names[digest] {
            outcome = .excluded("the same program as \(name)")
          } else {
            names[digest] = recipe.name
            possible[recipe.name] = approximated
            outcome = .possible(try costs(of: approximated.program), nil)
          }
        } catch {
          guard !isNamed, error.systemCode == nil else { throw error }
          outcome = .excluded("\(error.place): \(error.cause)")
        }
      }
      selected.selection.add(RecipeTrial(recipe: recipe.name, outcome: outcome))
    }
    for trial in selected.selection.preferred {
      guard judgesAll || selected.modelPath == nil, let approximated = possible[trial.recipe] else {
        break
      }
      let path = "\(folder)/try-\(trial.recipe)/model.lodge"
      try Folder.make(FilePaths.folder(of: path))
      let (judgement, report) = try judge(
        approximated, into: path, progress: started(trial.recipe))
      selected.selection.add(judgement, of: trial.recipe)
      if selected.modelPath == nil, judgement.objections.isEmpty {
        selected.modelPath = path
        selected.validation = report.json
        selected.warnings = approximated.report.warnings
      } else {
        // Models are large: only the best stays.
        try? FileManager.default.removeItem(atPath: FilePaths.folder(of: path))
      }
    }
    return selected
  }
}
