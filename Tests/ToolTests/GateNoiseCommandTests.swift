// Noise of gates, as who converts, estimates and validates a model is told of it.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct GateNoiseCommandTests {
  private static let said = "of the closed gates open by chance"

  /// A tiny checkpoint of which the second layer has three gates, and texts.
  private static func checkpoint() throws -> (folder: ScratchFolder, tokens: String) {
    let folder = try ScratchFolder()
    _ = try TinyCheckpoint.opt().write(to: folder)
    var builder = SafetensorsBuilder()
    builder.setHeader("__metadata__", ["format": "lodge-gates", "version": "1"])
    builder.add(
      "layers.1.order", type: "I32", shape: [12],
      bytes: (0..<12).flatMap { [UInt8($0), 0, 0, 0] })
    for (part, shape) in [("low", [4, 8]), ("high", [3, 4]), ("bias", [3])] {
      builder.add(
        "layers.1.\(part)", shape: shape,
        values: (0..<shape.reduce(1, *)).map { sin(Float(7 * $0 + part.count)) })
    }
    _ = try folder.write(builder.bytes, to: "gates.safetensors")
    let tokens = try folder.write(
      Array("[[1,2,3,4,5,6],[7,8,9,10,0,1]]".utf8), to: "calibration.json")
    return (folder, tokens)
  }

  private static func members(_ text: String) throws -> JSONReader {
    try JSONReader(JSON.parse(text, source: "output"), source: "output")
  }

  @Test func everyReportTellsOfIt() throws {
    let (folder, tokens) = try Self.checkpoint()
    let file = folder.file("noisy.lodge")
    let approximate = ["approximate", folder.path, "--tokens", tokens, "--out", file]
    let text = try Tool.succeed("lodge-model", approximate + ["--noise", "20"])
    #expect(text.contains("2.00 % \(Self.said)"))
    var conversion = try Self.members(
      Tool.succeed("lodge-model", approximate + ["--noise", "20", "--json"]))
    #expect(try conversion.integer("noise") == 20)
    var recipe = try conversion.object("recipe")
    #expect(try recipe.integer("noise") == 20)

    let cost = ["cost", file, "--no-compute"]
    #expect(try Tool.succeed("lodge-check", cost).contains("2.00 % \(Self.said)"))
    var costs = try Self.members(Tool.succeed("lodge-check", cost + ["--json"]))
    var gates = try costs.object("gates")
    #expect(try gates.integer("noise") == 20)

    let validate = ["validate", file, "--tokens", tokens]
    #expect(try Tool.succeed("lodge-check", validate).contains("2.00 % \(Self.said)"))
    var validation = try Self.members(Tool.succeed("lodge-check", validate + ["--json"]))
    var model = try validation.object("model")
    #expect(try model.integer("noise") == 20)
  }

  /// The option replaces what the recipe has; without noise nobody speaks of it.
  @Test func theOptionIsStrongerThanTheRecipe() throws {
    let (folder, tokens) = try Self.checkpoint()
    let recipe = try folder.write(
      Array("{\"name\": \"noisy\", \"base\": \"accurate\", \"noise\": 125}".utf8), to: "recipe.json"
    )
    let file = folder.file("model.lodge")
    let approximate = [
      "approximate", folder.path, "--tokens", tokens, "--recipe", recipe, "--out", file,
    ]
    #expect(try Tool.succeed("lodge-model", approximate).contains("12.50 % \(Self.said)"))
    let quiet = try Tool.succeed("lodge-model", approximate + ["--noise", "0"])
    let cost = try Tool.succeed("lodge-check", ["cost", file, "--no-compute"])
    let validation = try Tool.succeed("lodge-check", ["validate", file, "--tokens", tokens])
    for text in [quiet, cost, validation] { #expect(!text.contains("by chance")) }
    let json = try Tool.succeed("lodge-check", ["cost", file, "--no-compute", "--json"])
    #expect(!json.contains("\"noise\""))
    try Tool.fail(
      "lodge-model", approximate + ["--noise", "501"], status: 64, saying: ["--noise", "500"])
  }
}
