// model.lodge and client.bundle: what the owner and the client keep in plaintext.

import Approximation
import Bytes
import Models
import Program
import Rings
import Sharing
import TestSupport
import Testing

struct ModelFileTests {
  @Test(arguments: [true, false])
  func roundTrip(isDecoder: Bool) throws {
    var recipe = Recipe.accurate
    recipe.headroom = 2.5
    recipe.name = "narrow"
    let files = try ConversionFiles.tiny(isDecoder ? .opt() : .bert(), recipe: recipe)
    let file = try ModelFile(path: files.modelPath)
    #expect(file.model == files.model)
    #expect(file.recipe == recipe)
    #expect(file.calibration == files.calibration)
    #expect(file.checkpoint == "checkpoint")
    for shape in file.model.weights {
      #expect(try file.weight(shape.name) == files.weights.weight(shape.name))
    }
    #expect(try file.program() == files.program)
    #expect(
      try SecureProgram.lower(
        files.model, recipe: recipe, calibration: files.calibration) == files.program)
  }

  @Test(
    arguments: [
      (["model", "kind"], JSON.string("both"), "model.kind"),
      (["model", "nodes", "1", "inputs"], [1], "model.nodes[1].inputs"),
      (["model", "nodes", "1", "gamma"], "absent", "model.nodes[1].operation"),
      (["recipe", "headroom"], 0, "headroom"), (["recipe", "surprise"], 0, "surprise"),
      (["calibration", "textCount"], nil, "calibration.textCount"),
      (["calibration", "ranges", "embed", "output"], [1, 0], "calibration.ranges.embed.output"),
      (["checkpoint"], nil, "checkpoint"), (["more"], 1, "more"),
    ] as [([String], JSON?, String)])
  func changedHeaderIsRefused(path: [String], value: JSON?, place: String) throws {
    let files = try ConversionFiles.tiny(.opt(layerCount: 1))
    let copy = files.scratch.file("changed.lodge")
    try DamagedFile.rewrite(files.modelPath, to: copy) { header in
      guard case .object(let changed) = JSON.object(header).setting(path, to: value) else { return }
      header = changed
    }
    #expect(inputError { _ = try ModelFile(path: copy) }?.place == place)
  }

  @Test(arguments: [true, false])
  func clientRowsAreTheEncodedSums(isDecoder: Bool) throws {
    var recipe = Recipe.accurate
    recipe.embedding = .client
    let files = try ConversionFiles.tiny(isDecoder ? .opt() : .bert(), recipe: recipe)
    let input = try #require(files.program.inputValue)
    let width = try #require(input.shape.width)
    #expect(files.program.clientInput == .embedding)
    #expect(!files.program.weights.contains { $0.name.hasPrefix("embed") && $0.rowCount == 11 })
    let bundle = try ClientBundle(path: "\(files.folder)/client.bundle")
    #expect(bundle.conversion == files.result.conversion)
    let encoder = WeightEncoder(source: "test", weights: files.weights)
    func table(_ name: String, rows: Int, addedRow: String? = nil) throws -> [UInt64] {
      try encoder.encode(
        ProgramWeight(
          name: name, rowCount: rows, columnCount: width, fractionalBits: input.fractionalBits,
          source: WeightFormula(tensor: name, addedRow: addedRow)))
    }
    let offset = isDecoder ? 2 : 0
    let tokens = try table("embedTokens", rows: 11)
    let positions = try table(
      "embedPositions", rows: 6 + offset, addedRow: isDecoder ? nil : "embedSegments")
    let text = [3, 10, 0]
    for start in [0, 3] {
      let rows = try bundle.rows(text, start: start)
      for (index, token) in text.enumerated() {
        for column in 0..<width {
          let expected =
            tokens[token * width + column]
            &+ positions[(start + index + offset) * width + column]
          #expect(rows[index * width + column] == expected)
        }
      }
    }
    for (token, start) in [(11, 0), (-1, 0), (0, 6)] {
      #expect(inputError { _ = try bundle.rows([token], start: start) }?.source == "tokens")
    }
  }
}
