// What `lodge-model recipes` prints: shipped recipes, and every replacement with its source.

public import Bytes

/// The shipped recipes and the replacements that recipes may choose.
public struct RecipeList: Report {
  public init() {}

  public var document: TextDocument {
    // Classes for which all recipes choose alike share a column.
    let columns = OperationClass.allCases.grouped { operationClass in
      Recipe.shipped.map { $0.choices[operationClass]?.name ?? "" }
    }
    var recipes = TextTable(
      [("recipe", .left)]
        + columns.map { ($0.elements.map(\.rawValue).joined(separator: ", "), .left) })
    for (index, recipe) in Recipe.shipped.enumerated() {
      recipes.addRow([recipe.name] + columns.map { $0.key[index] })
    }
    let replacements = OperationClass.allCases.flatMap { operationClass in
      ReplacementCatalogue.replacements(for: operationClass).map { (operationClass, $0) }
    }
    var table = TextTable([("replacement", .left), ("of", .prose), ("source", .prose)])
    for (key, entries) in replacements.grouped(by: { [$0.1.name, $0.1.source] }) {
      table.addRow([key[0], entries.map(\.0.rawValue).joined(separator: ", "), key[1]])
    }
    return "\(recipes)\n\n\(table)"
  }

  public var json: JSON {
    [
      "recipes": .array(Recipe.shipped.map(\.json)),
      "replacements": .array(
        ReplacementCatalogue.all.map { type in
          [
            "name": .string(type.name), "source": .string(type.source),
            "classes": .array(type.classes.map { .string($0.rawValue) }),
          ]
        }),
    ]
  }
}
