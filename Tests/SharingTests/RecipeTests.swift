// Recipes are read strictly: unknown keys, other types and senseless values are errors.

import Approximation
import Bytes
import TestSupport
import Testing

struct RecipeTests {
  @Test func roundTrip() throws {
    #expect(try Recipe(json: Recipe.accurate.json, source: "recipe") == .accurate)
    let text = Recipe.accurate.json.indentedText
    #expect(try Recipe(json: JSON.parse(text, source: "recipe"), source: "recipe") == .accurate)
  }

  @Test func absentKeysKeepTheirValues() throws {
    let recipe = try Recipe(json: ["name": "mine", "expDegree": 5], source: "recipe")
    var expected = Recipe.accurate
    expected.name = "mine"
    expected.expDegree = 5
    #expect(recipe == expected)
  }

  @Test(
    arguments: [
      ("name", nil), ("name", 3), ("embedding", "public"), ("embedding", .null),
      ("fractionalBits", 7), ("fractionalBits", 21), ("fractionalBits", 16.0),
      ("headroom", 0.5), ("headroom", 65), ("headroom", "4"), ("geluDegree", 3),
      ("geluDegree", 9), ("geluLimit", 0.5), ("geluLimit", 9), ("siluDegree", 3),
      ("siluDegree", 9), ("siluDegree", 8.0), ("siluLimit", 0.5), ("siluLimit", 21),
      ("expDegree", 1), ("expDegree", 9),
      ("expSquarings", 0), ("expSquarings", 9), ("expClip", -3), ("expClip", -41),
      ("tableTolerance", 0), ("tableTolerance", 0.2), ("geluDegre", 6), ("", 0),
    ] as [(String, JSON?)])
  func wrongValuesAreRefused(key: String, value: JSON?) throws {
    let json = Recipe.accurate.json.setting([key], to: value)
    let error = try #require(inputError { _ = try Recipe(json: json, source: "mine.json") })
    #expect(error.source == "mine.json" && error.place == key)
  }

  @Test func onlyObjectsAreRecipes() {
    for json in [JSON.null, [], "accurate", 3] {
      #expect(inputError { _ = try Recipe(json: json, source: "recipe") } != nil)
    }
  }

  @Test func recipesAreFoundByNameOrFile() throws {
    #expect(try Recipe.named("accurate") == .accurate)
    let error = try #require(inputError { _ = try Recipe.named("acurate") })
    #expect(error.source == "--recipe" && error.hint.contains("accurate"))
    let folder = try ScratchFolder()
    let path = try folder.write(#"{"name": "wide", "headroom": 8}"#.utf8, to: "wide.json")
    #expect(try Recipe.named(path).headroom == 8)
    let twice = try folder.write(#"{"name": "a", "name": "b"}"#.utf8, to: "twice.json")
    #expect(inputError { _ = try Recipe.named(twice) }?.cause.contains("duplicate key") == true)
  }
}
