// model.lodge and client.bundle: what the owner and the client keep in plaintext.

import Approximation
import Bytes
import Foundation
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
      (["encodings"], [:], "encodings"),
      (["encodings", "embedTokens"], "F64", "encodings.embedTokens"),
      (["encodings", "embedTokens"], "F16", "weights/embedTokens"),
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

  /// Weights keep the 16 bits that the checkpoint has, and the bits of each value.
  @Test(
    .needsSharedModels,
    arguments: [
      ("gpt2-dickens-6m", WeightEncoding.float16), ("stories260k/model.f16.gguf", .float16),
      ("stories260k/model.safetensors", .float32), ("stories260k/model.q8_0.gguf", .float32),
    ])
  func keepsTheCheckpointsEncoding(path: String, encoding: WeightEncoding) throws {
    let checkpoint = try #require(Repository.sharedModels).appending(path: path).path
    let files = try ConversionFiles(checkpoint: checkpoint, texts: [[1, 2, 3]])
    let file = try ModelFile(path: files.modelPath)
    #expect(Set(file.model.weights.map { file.encoding(of: $0.name) }).contains(encoding))
    for shape in file.model.weights {
      let expected = try files.weights.weight(shape.name).map(\.bitPattern)
      #expect(try file.weight(shape.name).map(\.bitPattern) == expected, "\(shape.name)")
      let part = shape.elementCount / 3..<shape.elementCount / 2
      #expect(try file.weight(shape.name, in: part).map(\.bitPattern) == expected[part].map { $0 })
    }
  }

  /// The encoder against plain arithmetic, with every member of a formula and for all ranges.
  @Test func encodesWhatTheFormulaSays() throws {
    struct Source: WeightSource {
      var values: [String: [Float]]
      func weight(_ name: String) throws(InputError) -> [Float] { values[name] ?? [] }
    }
    var random = SplitMix(3)
    func floats(_ count: Int) -> [Float] {
      (0..<count).map { _ in Float.random(in: -2...2, using: &random) }
    }
    let source = Source(values: [
      "t": floats(15), "scale": floats(5), "m": floats(5 * 3), "v": floats(3), "row": floats(10),
      "bias": floats(5), "large": [0x1p40, -0x1p40, 1, 2, 3],
    ])
    let encoder = WeightEncoder(source: "source", weights: source)
    func value(_ name: String, _ index: Int) -> Double { Double(source.values[name]?[index] ?? 0) }
    func product(_ row: Int) -> Double {
      (0..<3).reduce(0) { $0 + value("m", 3 * row + $1) * value("v", $1) }
    }
    let cases: [(WeightFormula, Int, (Int) -> Double)] = [
      (WeightFormula(tensor: "t"), 3, { value("t", $0) }),
      (
        WeightFormula(tensor: "t", columnScale: "scale", factor: 0.3), 3,
        { value("t", $0) * value("scale", $0 % 5) * 0.3 }
      ),
      (
        WeightFormula(tensor: "t", addedRow: "row"), 3,
        { value("t", $0) + value("row", $0 % 5) }
      ),
      (
        WeightFormula(tensor: "bias", matrix: "m", vector: "v", factor: 2), 1,
        { (value("bias", $0) + product($0)) * 2 }
      ),
      (WeightFormula(tensor: "large"), 1, { value("large", $0) }),
    ]
    for (formula, rowCount, expected) in cases {
      let weight = ProgramWeight(
        name: "w", rowCount: rowCount, columnCount: 5, fractionalBits: 20, source: formula)
      let words = try encoder.encode(weight)
      #expect(
        words
          == (0..<weight.elementCount).map {
            UInt64(bitPattern: Int64((expected($0) * 0x1p20).rounded(.toNearestOrEven)))
          })
    }
    let weight = ProgramWeight(
      name: "w", rowCount: 1, columnCount: 5, fractionalBits: 22,
      source: WeightFormula(tensor: "large"))
    #expect(
      inputError { _ = try encoder.encode(weight) }?.description
        == "source: w: element 0 does not fit the ring with 22 fractional bits")
  }
}
