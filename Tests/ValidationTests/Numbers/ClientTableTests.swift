// Tables that a client holds have the scale of the program's input, which small ones raise.

import Approximation
import Bytes
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing
import Validation

@Suite struct ClientTableTests {
  @Test func smallTablesKeepTheInputsScale() throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.scale("model.embed_tokens.weight", by: 1e-3)
    var recipe = Recipe.accurate
    recipe.embedding = .client
    let model = try NumbersModel(
      checkpoint, texts: [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 0]], recipe: recipe)
    let folder = try ScratchFolder()
    try ModelFile.write(
      to: folder.file("m.lodge"), model: model.loaded.model, recipe: model.approximated.recipe,
      calibration: model.approximated.calibration, checkpoint: "tiny", weights: model.loaded)
    let file = try ModelFile(path: folder.file("m.lodge"))
    let bits = try #require(try file.program().inputValue?.fractionalBits)
    #expect(bits > recipe.fractionalBits)
    let words = try EmbeddingTables(file).rows([3, 9], start: 0)
    let expected = try model.loaded.weight("embedTokens")
    let width = words.count / 2
    let rows = expected[3 * width..<4 * width] + expected[9 * width..<10 * width]
    for (word, value) in zip(words, rows) {
      let real = Double(Int64(bitPattern: word)) * pow(0.5, Double(bits))
      #expect(abs(real - Double(value)) <= pow(0.5, Double(bits)))
    }
  }

  /// A client's words have 32 bits: large rows have fewer fractional bits, and rows for which these
  /// are too few are refused.
  @Test func largeTablesFitTheWords() throws {
    var recipe = Recipe.accurate
    recipe.embedding = .client
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.scale("model.embed_tokens.weight", by: 1e6)
    let texts = [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 0]]
    let model = try NumbersModel(checkpoint, texts: texts, recipe: recipe)
    let folder = try ScratchFolder()
    try ModelFile.write(
      to: folder.file("m.lodge"), model: model.loaded.model, recipe: model.approximated.recipe,
      calibration: model.approximated.calibration, checkpoint: "tiny", weights: model.loaded)
    let file = try ModelFile(path: folder.file("m.lodge"))
    let bits = try #require(try file.program().inputValue?.fractionalBits)
    let words = try EmbeddingTables(file).rows([3], start: 0)
    let expected = try model.loaded.weight("embedTokens")
    let largest = Double(expected.map(abs).max() ?? 0)
    for (word, value) in zip(words, expected[3 * words.count..<4 * words.count]) {
      let real = Double(Int64(bitPattern: word)) * pow(0.5, Double(bits))
      #expect(abs(real - Double(value)) <= 1e-6 * largest)
    }
    checkpoint.changeRow(3, of: "model.embed_tokens.weight") { $0 * 1e9 }
    let error = #expect(throws: InputError.self) {
      try NumbersModel(checkpoint, texts: texts, recipe: recipe)
    }
    #expect(error?.cause.contains("do not fit the 32-bit words of a client's table") == true)
  }
}
