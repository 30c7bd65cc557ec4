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
    let text = try Tool.succeed("lodge-model", approximate("bolt", folder, ["--all"]))
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

  /// What party 1 would see must be accepted; then report, cost, manifest and comparison say it.
  @Test func leakageMustBeAccepted() throws {
    let folder = try ScratchFolder()
    let file = try folder.write(
      #"{"name": "mine", "layers": {"1": {"relu": "permuted"}}}"#.utf8, to: "mine.json")
    for (recipe, operation) in [("permllm", "softmax"), ("elements", "relu"), (file, "relu")] {
      let arguments = try approximate(recipe, folder)
      try Tool.fail("lodge-model", arguments, saying: ["party 1 learns", operation])
      #expect(try Tool.run("lodge-model", arguments).messages.contains("give --accept-leakage"))
    }
    #expect(try folder.names() == ["mine.json"])
    let out = folder.file("out.lodge")
    let report = try Tool.succeed(
      "lodge-model", approximate("permllm", folder, ["--accept-leakage"]))
    #expect(report.contains("permuted"))
    #expect(report.contains("party 1 sees at layers.*.attention.softmax the numbers that softmax"))
    let cost = try Tool.succeed(
      "lodge-check", ["cost", out, "--prompt", "3", "--new", "2", "--no-compute"])
    for part in [
      "permutations", "sent by each party", "party 1 sees",
      "layers.*.feedForward.activation the numbers that relu",
      "within each head of each row",
    ] { #expect(cost.contains(part), "\(part)") }
    let ofProvider = try Tool.succeed(
      "lodge-check", ["cost", out, "--deployment", "provider-user", "--no-compute"])
    #expect(ofProvider.contains("user sees at layers.*.attention.softmax the numbers"))
    let shares = try Tool.succeed("lodge-model", ["share", out, "--out", folder.file("shares")])
    #expect(shares.contains("layers.*.attention.softmax") && shares.contains("party 1"))
    let accurate = folder.file("accurate.lodge")
    let model = try Tiny.converted.get()
    _ = try Tool.succeed(
      "lodge-model",
      [
        "approximate", model, "--tokens", "\(model)/calibration.json", "--out", accurate,
      ])
    // Where nothing is permuted keys go first, and take their time.
    let withKeys = try Tool.succeed(
      "lodge-check", ["cost", accurate, "--deployment", "provider-user", "--no-compute"])
    #expect(withKeys.contains("of keys before the first step, which takes"))
    let compared = try Tool.succeed(
      "lodge-check", ["compare", out, accurate, "--tokens", "\(model)/calibration.json"])
    for part in ["shown to party 1", "layerNorm, softmax, relu", "nothing", "with two servers"] {
      #expect(compared.contains(part), "\(part)")
    }
    // A provider and its user have fewer flights by it, and other roles.
    let roles = ["--deployment", "provider-user"]
    func flights(_ more: [String]) throws -> Int {
      let text = try Tool.succeed(
        "lodge-check",
        ["compare", out, accurate, "--tokens", "\(model)/calibration.json", "--json"] + more)
      var document = try JSONReader(JSON.parse(text, source: "comparison"), source: "comparison")
      #expect(try document.string("deployment") == (more.last ?? "two-server"))
      var first = try JSONReader(document.array("models")[0], source: "comparison")
      var token = try first.object("token")
      return try token.integer("rounds")
    }
    #expect(try flights(roles) < flights([]))
    let ofUser = try Tool.succeed(
      "lodge-check",
      ["compare", out, accurate, "--tokens", "\(model)/calibration.json"] + roles)
    for part in [
      "shown to user", "with a provider and its user", "the weights, which are its own",
      "weights are protected from no user who asks often",
      "weights are protected from a user who follows the protocol",
    ] {
      #expect(ofUser.contains(part), "\(part)")
    }
    #expect(!ofUser.contains("the owner is the dealer"))
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
