// What a conversion says of its own result, and what a client says of an answer.

import Approximation
import Bytes
import Models
import Program
import TestSupport
import Testing
import Validation

@Suite struct WarningTests {
  private let texts = [[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]]
  private let value = "model.layers.0.self_attn.v_proj.weight"

  @Test func ordinaryModelsHaveNone() throws {
    #expect(try NumbersModel(.llama(), texts: texts).approximated.report.warnings == [])
  }

  @Test func tokensFarOutsideTheTextAreNamed() throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.changeRow(9, of: "model.embed_tokens.weight") { $0 * 1e-3 }
    let warnings = try NumbersModel(checkpoint, texts: texts).approximated.report.warnings
    #expect(warnings.count == 1)
    #expect(warnings.first?.contains("1 token (9) of the vocabulary") == true, "\(warnings)")
  }

  /// Whatever bits the ring has left, this weight has none.
  @Test func weightsThatAreRoundedAwayAreNamed() throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.scale(value, by: 1e-13)
    let warnings = try NumbersModel(checkpoint, texts: texts).approximated.report.warnings
    #expect(warnings.count == 1)
    #expect(
      warnings.first?.contains("layers.0.attention.value.weight is rounded by") == true,
      "\(warnings)")
    // Those that have bits enough are not.
    checkpoint.scale(value, by: 1e9)
    #expect(try NumbersModel(checkpoint, texts: texts).approximated.report.warnings == [])
  }

  @Test func answersBeyondTheCalibrationAreSaid() throws {
    let model = try NumbersModel(.llama(), texts: texts)
    let seen = try texts.flatMap { try model.float.run(tokens: $0).values }
    let bound = try #require(model.program.output.bound)
    #expect(Float(bound) == 2 * (seen.map(abs).max() ?? 0))
    let output = model.program.output
    #expect(output.warning(about: [seen]) == nil)
    for value in [Float(bound) * 1.01, -Float(bound) * 1.01, .nan] {
      let warning = output.warning(about: [[0], [value]])
      #expect(warning?.contains("1 of 2 rows") == true)
    }
    let json = try SecureProgram(json: model.program.json, source: "program")
    #expect(json.output == output)
  }
}
