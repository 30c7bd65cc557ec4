// A model with the functions of a recipe as data, for programs that train it: `tools/finetune`.

public import Bytes
public import Models

/// The graph, where its weights stand in the checkpoint, and the form of every replaced node.
public struct FunctionExport: Report {
  private let loaded: LoadedModel
  private let recipe: Recipe
  /// Form, exact form and choice of each node with a non-linear operation, in the graph's order.
  private let functions: [(name: String, members: [String: JSON])]
  /// Whether people are shown every operation, and not those of all layers together.
  public var isComplete = false

  /// - Parameter recipe: resolved for `loaded`.
  /// - Throws: `InputError` where it is not.
  public init(_ loaded: LoadedModel, recipe: Recipe) throws(InputError) {
    self.loaded = loaded
    self.recipe = recipe
    let model = loaded.model
    var functions: [(name: String, members: [String: JSON])] = []
    for (index, node) in model.nodes.enumerated() {
      guard let operationClass = node.operation.operationClass,
        let choice = recipe.choice(for: node), let exact = Recipe.accurate.choice(for: node),
        let form = try recipe.form(of: index, in: model),
        let exactForm = try Recipe.accurate.form(of: index, in: model)
      else { continue }
      functions.append(
        (
          node.name,
          [
            "class": .string(operationClass.rawValue), "choice": choice.json, "form": form.json,
            "exactForm": exactForm.json, "exact": exact.json,
          ]
        ))
    }
    self.functions = functions
  }

  /// `model`: the graph as in model.lodge; `weights`: see `LoadedModel.bindingsJSON`; `functions`:
  /// for each node its class, what the recipe chooses, and that as `form`; `exact` and `exactForm`
  /// are the same of the recipe `accurate`, which stands for the operation itself; `recipe`:
  /// resolved.
  public var json: JSON {
    [
      "checkpoint": .string(FilePaths.lastComponent(of: loaded.path)),
      "model": loaded.model.json, "weights": loaded.bindingsJSON, "recipe": recipe.json,
      "functions": .object(
        Dictionary(uniqueKeysWithValues: functions.map { ($0.name, JSON.object($0.members)) })),
    ]
  }

  /// What stands for each operation.
  public var document: TextDocument {
    let rows = loaded.model.nodes.compactMap { node -> (cells: [String], summary: String)? in
      guard let operationClass = node.operation.operationClass,
        let choice = recipe.choice(for: node)
      else { return nil }
      let name = isComplete ? node.name : namePattern(node.name)
      return ([name, operationClass.rawValue, choice.name], choice.replacement.summary)
    }
    var table = TextTable([
      ("operation", .name), ("number", .right), ("class", .left), ("replaced by", .prose),
    ])
    for (cells, all) in rows.grouped(by: \.cells) {
      let summary = all.allSatisfy { $0.summary == all[0].summary } ? all[0].summary : cells[2]
      table.addRow([cells[0], "\(all.count)", cells[1], summary])
    }
    return isComplete ? TextDocument(table) : "\(table)\n\n--all lists every operation."
  }
}
