// Rows that epsilon outweighs, rows of zeros far below all others, and heads of small weights.

import Approximation
import Bytes
import Foundation
import Models
import Program
import TestSupport
import Testing
import Validation

@Suite struct SmallRowTests {
  private static let table = "model.embed_tokens.weight"
  private static let prompts = [[1, 4, 2, 3], [7, 0, 9, 9, 5], [10, 8], [6]]

  /// The largest mean error of answers to `prompts`, beside the largest logit.
  private func error(_ model: NumbersModel, _ prompts: [[Int]] = prompts) throws -> Double {
    try prompts.reduce(0) { largest, prompt in
      let error = try model.error(prompt)
      return max(largest, error.mean / error.of)
    }
  }

  /// Under an epsilon of 1e-5 rows of 1e-6 come out of the first normalisation as 1e-4.
  @Test(arguments: [Float(1e-3), 1e-4, 1e-5, 1e-6])
  func rowsThatEpsilonOutweighsArePrecise(factor: Float) throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.scale(Self.table, by: factor)
    let model = try NumbersModel(checkpoint, texts: ScaleTests.texts)
    #expect(try error(model) < 0.0015)
    #expect(model.approximated.report.warnings == [])
  }

  /// Rows that no fractional bits of the ring carry are named.
  @Test func rowsThatNothingCarriesAreNamed() throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.scale(Self.table, by: 1e-9)
    let warnings = try NumbersModel(checkpoint, texts: ScaleTests.texts).approximated.report
      .warnings
    #expect(warnings.contains { $0.contains("is rounded by") }, "\(warnings)")
  }

  /// Rows of zeros, which an epsilon of 1e-12 leaves far below all others, whether the text has them
  /// or not.
  @Test(arguments: [false, true])
  func zerosUnderATinyEpsilonStayZero(isSeen: Bool) throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.configuration["rms_norm_eps"] = 1e-12
    let plain = try error(NumbersModel(checkpoint, texts: EpsilonTests.texts))
    for row in 7...8 { checkpoint.changeRow(row, of: Self.table) { _ in 0 } }
    let texts = EpsilonTests.texts + (isSeen ? [[7, 1, 8], [2, 7]] : [])
    let model = try NumbersModel(checkpoint, texts: texts)
    for prompt in [[1, 4, 2, 3], [7, 1, 4], [7, 7, 2], [1, 7, 2], [8, 7, 7, 8, 3]] {
      let error = try model.error(prompt)
      #expect(error.mean <= 3 * plain * max(error.of, 1), "\(prompt): \(error) was \(plain)")
    }
    for prompt in [[7], [8, 7]] {
      let error = try model.error(prompt)
      #expect(error.of == 0 && error.largest < 0x1p-8, "\(prompt): \(error)")
    }
    let warnings = model.approximated.report.warnings
    #expect(warnings.contains { $0.contains("rows of zeros lie too far below") }, "\(warnings)")
  }

  /// What is nearly zero does not stay so: such rows are refused as before.
  @Test func rowsThatAreNearlyZeroAreRefused() throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.configuration["rms_norm_eps"] = 1e-12
    checkpoint.changeRow(7, of: Self.table) { _ in 0 }
    checkpoint.changeRow(8, of: Self.table) { $0 * 1e-6 }
    let error = #expect(throws: InputError.self) {
      try NumbersModel(checkpoint, texts: EpsilonTests.texts)
    }
    #expect(error?.cause.contains("too wide for a table") == true)
  }

  @Test(arguments: ["llama", "bert"]) func aTableOfZerosIsNamed(family: String) throws {
    var checkpoint = family == "bert" ? TinyCheckpoint.bert() : .llama()
    for name in checkpoint.tensors.keys where name.contains("embed") && !name.contains("LayerNorm")
    {
      checkpoint.scale(name, by: 0)
    }
    let error = #expect(throws: InputError.self) {
      try NumbersModel(checkpoint, texts: ScaleTests.texts)
    }
    #expect(error?.cause.contains("every row is zero") == true, "\(error?.cause ?? "")")
    #expect(error?.hint.isEmpty == false)
  }

  /// tanh of next to nothing, and a classifier that makes up for it.
  @Test(arguments: [Float(1e-2), 1e-3, 1e-4, 1e-5])
  func smallPoolersAreConverted(factor: Float) throws {
    let folder = FamilyVector.root.appending(path: "bert-classes").path
    var checkpoint = try TinyCheckpoint(folder: folder)
    let texts = [[1, 4, 2, 8, 5, 7], [0, 10, 3], [9, 9, 6, 1, 2]]
    let plain = try error(NumbersModel(checkpoint, texts: texts))
    for name in checkpoint.tensors.keys {
      if name.contains("pooler") { checkpoint.scale(name, by: factor) }
      if name == "classifier.weight" { checkpoint.scale(name, by: 1 / factor) }
    }
    let found = try error(NumbersModel(checkpoint, texts: texts))
    #expect(found <= 5 * plain, "\(found) was \(plain)")
  }
}
