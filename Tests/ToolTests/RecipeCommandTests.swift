// `lodge-model recipes`, and what `approximate` says of recipes and refuses.

import Bytes
import Foundation
import TestSupport
import Testing

struct RecipeCommandTests {
  private func approximate(_ recipe: String, _ folder: ScratchFolder, _ more: [String] = []) throws
    -> [String]
  {
    let model = try Tiny.converted.get()
    return [
      "approximate", model, "--recipe", recipe, "--tokens", "\(model)/calibration.json",
      "--out", folder.file("out.lodge"),
    ] + more
  }

  @Test func printedRecipesAreAccepted() throws {
    let list = try Tool.succeed("lodge-model", ["recipes"])
    for name in ["accurate", "pcft", "fitted", "arXiv 2307.12533"] { #expect(list.contains(name)) }
    let text = try Tool.succeed("lodge-model", ["recipes", "pcft"])
    let folder = try ScratchFolder()
    let path = try folder.write(text.utf8, to: "mine.json")
    _ = try Tool.succeed("lodge-model", approximate(path, folder))
    let listed = try JSON.parse(
      Tool.succeed("lodge-model", ["recipes", "--json"]), source: "recipes")
    guard case .object(let members) = listed else { throw CancellationError() }
    #expect(members.keys.sorted() == ["recipes", "replacements"])
    try Tool.fail("lodge-model", ["recipes", "fited"], saying: ["fited"])
  }

  @Test func everyOperationHasARow() throws {
    let folder = try ScratchFolder()
    let text = try Tool.succeed("lodge-model", approximate("bolt", folder))
    for part in [
      "operation", "seen", "valid", "max error", "mean error", "flights", "bytes",
      "layers.1.attention", "softmax", "bolt", "finalLayerNorm",
    ] { #expect(text.contains(part), "\(part)") }
    let json = try JSON.parse(
      Tool.succeed("lodge-model", approximate("bolt", folder, ["--json"])), source: "report")
    var report = try JSONReader(json, source: "report")
    let rows = try report.array("replacements")
    #expect(rows.count == 9)
    for row in rows {
      var members = try JSONReader(row, source: "report")
      #expect(try members.number("maximumError") >= members.number("meanError") / 10)
      #expect(try members.integer("rounds") > 0 && members.integer("bytes") > 0)
      #expect(try members.numbers("seen").count == 2)
      _ = try members.object("form")
    }
  }

  /// Inputs outside a replacement's range stop the conversion unless it is told to clip them.
  @Test func rangesAreRefusedOrClipped() throws {
    let folder = try ScratchFolder()
    let recipe = """
      {"name": "narrow", "relu": {"replacement": "piecewise", "knots": [0], "range": [-0.01, 0.01],
        "pieces": [{"centre": 0, "scale": 1, "coefficients": [0]},
          {"centre": 0, "scale": 1, "coefficients": [0, 1]}]}}
      """
    let path = try folder.write(recipe.utf8, to: "narrow.json")
    try Tool.fail(
      "lodge-model", approximate(path, folder),
      saying: ["layers.0.feedForward.activation", "-0.01"])
    #expect(try folder.names() == ["narrow.json"])
    let text = try Tool.succeed("lodge-model", approximate(path, folder, ["--clamp", "--json"]))
    #expect(text.contains("\"clamp\": [-0.01, 0.01]"))
  }

  @Test func wrongRecipesAreNamed() throws {
    let folder = try ScratchFolder()
    let wrong: [(String, [String])] = [
      (#"{"name": "a", "gelu": "pumma"}"#, ["gelu.replacement", "pumma"]),
      (#"{"name": "a", "softmax": {"replacement": "limit", "clip": 3}}"#, ["softmax.clip"]),
      (#"{"name": "a", "headrom": 3}"#, ["headrom", "unknown key"]),
      (#"{"name": "a", "layers": {"7": {"relu": "relu"}}}"#, ["layers.7", "2 layers"]),
      (
        #"{"name": "a", "nodes": {"layers.0.attenton": {"softmax": "limit"}}}"#,
        ["layers.0.attenton"]
      ),
    ]
    for (text, parts) in wrong {
      let path = try folder.write(text.utf8, to: "recipe.json")
      try Tool.fail("lodge-model", approximate(path, folder), saying: parts)
    }
    #expect(try folder.names() == ["recipe.json"])
  }
}
