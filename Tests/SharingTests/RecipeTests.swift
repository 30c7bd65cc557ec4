// Recipes are read strictly: unknown keys, other types and senseless values are errors.

import Approximation
import Bytes
import Models
import TestSupport
import Testing

struct RecipeTests {
  @Test(arguments: Recipe.shipped)
  func roundTrip(recipe: Recipe) throws {
    #expect(try Recipe(json: recipe.json, source: "recipe") == recipe)
    let text = recipe.json.indentedText
    #expect(try Recipe(json: JSON.parse(text, source: "recipe"), source: "recipe") == recipe)
  }

  @Test func absentKeysKeepTheirValues() throws {
    let recipe = try Recipe(
      json: ["name": "mine", "softmax": ["replacement": "minimax", "degree": 5]],
      source: "recipe")
    var expected = Recipe.accurate
    expected.name = "mine"
    expected.choose(ReplacementChoice(MinimaxSoftmax(degree: 5)), for: .softmax)
    #expect(recipe == expected)
    var based = try #require(Recipe.shipped("puma"))
    #expect(try Recipe(json: ["name": "mine", "base": "puma"], source: "recipe") != based)
    based.name = "mine"
    #expect(try Recipe(json: ["name": "mine", "base": "puma"], source: "recipe") == based)
    // A name alone stands for a replacement with its usual parameters.
    #expect(
      try Recipe(json: ["name": "a", "gelu": "puma"], source: "recipe")
        == Recipe(json: ["name": "a", "gelu": ["replacement": "puma"]], source: "recipe"))
  }

  @Test func layersAndNodesComeFirst() throws {
    let recipe = try Recipe(
      json: [
        "name": "mixed", "relu": "relu", "softmax": "bolt",
        "layers": ["1": ["softmax": "limit"]],
        "nodes": ["layers.1.attention": ["softmax": "relu"]],
      ], source: "recipe")
    #expect(try Recipe(json: recipe.json, source: "recipe") == recipe)
    let names = try [0, 1, 2].map { layer in
      let node = try node("layers.\(layer).attention")
      return recipe.choice(for: node)?.name
    }
    #expect(names == ["bolt", "relu", "bolt"])
    #expect(try recipe.choice(for: node("layers.1.other"))?.name == "limit")
    #expect(try recipe.choice(for: node("layers.1.other"))?.note == "")
  }

  private func node(_ name: String) throws -> ModelNode {
    ModelNode(
      name: name,
      operation: .attention(
        query: 0, key: 0, value: 0, AttentionSettings(headCount: 1, keyHeadCount: 1, scale: 1)),
      width: 4)
  }

  @Test(
    arguments: [
      (["name"], nil), (["name"], 3), (["embedding"], "public"), (["embedding"], .null),
      (["fractionalBits"], 7), (["fractionalBits"], 21), (["fractionalBits"], 16.0),
      (["headroom"], 0.5), (["headroom"], 65), (["headroom"], "4"),
      (["tableTolerance"], 0), (["tableTolerance"], 0.2), (["outsideRange"], "ignore"),
      (["compare"], "bit"), (["compare"], 1), (["gelu", "compare"], "key"),
      (["compare"], .null),
      (["geluDegree"], 6), ([""], 0), (["base"], "acurate"), (["relu"], 1),
      (["gelu", "degree"], 1), (["gelu", "degree"], 9), (["gelu", "degree"], 6.0),
      (["gelu", "limit"], 0.5), (["gelu", "limit"], 9), (["silu", "limit"], 21),
      (["gelu", "replacement"], "pumma"), (["gelu", "replacement"], nil),
      (["gelu", "degre"], 6), (["silu", "replacement"], "bolt"), (["gelu", "note"], 1),
      (["gelu", "clamp"], [3, 2]), (["gelu", "clamp"], [1]), (["gelu", "clamp"], ["a", 2]),
      (["softmax", "replacement"], "affine"), (["softmax", "degree"], 9),
      (["softmax", "squarings"], 0), (["softmax", "squarings"], 9), (["softmax", "clip"], -3),
      (["softmax", "clip"], -41), (["layerNorm", "replacement"], "softmax"),
      (["layerNorm", "factor"], 1), (["layers"], []), (["layers", "first"], .object([:])),
      (["layers", "-1"], .object([:])), (["layers", "01"], .object([:])),
      (["layers", "1"], 3), (["layers", "1", "gelu"], "fast"),
      (["layers", "1", "geluu"], "puma"), (["nodes"], []), (["nodes", "a"], []),
      (["nodes", "a", "softmax"], "gelu"), (["nodes", "a", "soft"], "gelu"),
    ] as [([String], JSON?)])
  func wrongValuesAreRefused(path: [String], value: JSON?) throws {
    var json = Recipe.accurate.json
    for length in 1..<max(path.count, 2) where path.count > length {
      // Objects on the way that the recipe does not have.
      if case .object(let members) = json, members[path[0]] == nil, length == 1 {
        json = json.setting([path[0]], to: .object([:]))
      }
      if length == 2 { json = json.setting(Array(path[..<2]), to: .object([:])) }
    }
    json = json.setting(path, to: value)
    let error = try #require(inputError { _ = try Recipe(json: json, source: "mine.json") })
    #expect(error.source == "mine.json")
    let place = path.joined(separator: ".")
    #expect(
      error.place == place || error.place.hasPrefix("\(place)[")
        || error.place.hasPrefix("\(place)."), "\(error)")
    #expect(!error.description.contains("\n"))
  }

  @Test func parametersOfEachReplacementAreChecked() throws {
    let cases: [(String, JSON, String)] = [
      ("softmax", ["replacement": "limit", "squarings": 3, "clip": -14], "clip"),
      ("softmax", ["replacement": "power", "exponent": 3], "exponent"),
      ("softmax", ["replacement": "2quad", "scale": 3], "scale"),
      ("softmax", ["replacement": "relu", "epsilon": 0], "epsilon"),
      ("softmax", ["replacement": "fitted", "maximumError": 1], "maximumError"),
      ("rmsNorm", ["replacement": "affine", "factor": 0], "factor"),
      ("gelu", ["replacement": "piecewise", "knots": [1, 1], "pieces": []], "knots"),
      ("gelu", ["replacement": "piecewise", "knots": [1], "pieces": []], "pieces"),
      (
        "gelu", ["replacement": "piecewise", "knots": [-1], "even": true, "pieces": []], "knots"
      ),
      (
        "gelu",
        [
          "replacement": "piecewise", "knots": [], "resolution": 0.3,
          "pieces": [["centre": 0, "scale": 1, "coefficients": [1]]],
        ], "resolution"
      ),
      (
        "gelu",
        [
          "replacement": "piecewise", "knots": [],
          "pieces": [["centre": 0, "scale": 0, "coefficients": [1]]],
        ], "pieces[0].scale"
      ),
      (
        "gelu",
        [
          "replacement": "piecewise", "knots": [],
          "pieces": [["centre": 0, "scale": 1, "coefficients": []]],
        ], "pieces[0].coefficients"
      ),
    ]
    for (name, choice, place) in cases {
      let json: JSON = .object(["name": "a", name: choice])
      let error = try #require(inputError { _ = try Recipe(json: json, source: "a.json") })
      #expect(error.place == "\(name).\(place)", "\(error)")
    }
  }

  @Test func misspeltNamesAreHintedAt() throws {
    func hint(_ json: JSON) throws -> String {
      try #require(inputError { _ = try Recipe(json: json, source: "a.json") }).hint
    }
    #expect(try hint(["name": "a", "gelu": "pumma"]).contains("did you mean \"puma\"?"))
    #expect(try hint(["name": "a", "silu": "bolt"]).contains("bumblebee"))
    #expect(try hint(["name": "a", "headrom": 3]) == "did you mean \"headroom\"?")
    #expect(
      try hint(["name": "a", "softmax": ["replacement": "minimax", "squaring": 3]])
        == "did you mean \"squarings\"?")
    #expect(try hint(["name": "a", "outsideRange": "clam"]) == "did you mean \"clamp\"?")
  }

  @Test func onlyObjectsAreRecipes() {
    for json in [JSON.null, [], "accurate", 3] {
      #expect(inputError { _ = try Recipe(json: json, source: "recipe") } != nil)
    }
  }

  @Test func recipesAreFoundByNameOrFile() throws {
    for name in ["accurate", "puma", "bolt", "bumblebee", "mpcformer", "pcft", "power", "fitted"] {
      #expect(try Recipe.named(name).name == name)
    }
    let error = try #require(inputError { _ = try Recipe.named("acurate") })
    #expect(error.source == "--recipe" && error.hint.contains("did you mean \"accurate\"?"))
    let folder = try ScratchFolder()
    let path = try folder.write(#"{"name": "wide", "headroom": 8}"#.utf8, to: "wide.json")
    #expect(try Recipe.named(path).headroom == 8)
    let twice = try folder.write(#"{"name": "a", "name": "b"}"#.utf8, to: "twice.json")
    #expect(inputError { _ = try Recipe.named(twice) }?.cause.contains("duplicate key") == true)
  }
}
