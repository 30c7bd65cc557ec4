// What `lodge-model recipes` prints: shipped recipes, and every replacement with its source.

public import Bytes

public enum RecipeList {
  public static var text: String {
    var recipes = TextTable(
      [("recipe", .left)] + OperationClass.allCases.map { ($0.rawValue, .left) })
    for recipe in Recipe.shipped {
      recipes.addRow(
        [recipe.name] + OperationClass.allCases.map { recipe.choices[$0]?.name ?? "" })
    }
    var replacements = TextTable([("class", .left), ("replacement", .left), ("source", .left)])
    for operationClass in OperationClass.allCases {
      for type in ReplacementCatalogue.replacements(for: operationClass) {
        replacements.addRow([operationClass.rawValue, type.name, type.source])
      }
    }
    return "\(recipes.text)\n\n\(replacements.text)"
  }

  public static var json: JSON {
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
