// What a conversion says of its own result, and what a client says of an answer.

import Approximation
import Bytes
import Models
import OnlineRuntime
import Program
import Randomness
import Sharing
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

  /// A user sees operands that may have gone once around, and says so.
  @Test func operandsAtTheEndOfTheirRingAreSaid() throws {
    let scratch = try ScratchFolder()
    let converted = try ConvertedModel(
      path: TinyCheckpoint.opt().write(to: scratch), calibrationTexts: texts,
      recipe: .named("permllm"))
    let program = converted.program
    try #require(program.weights[0].isTransposed, "the table of tokens is first")
    /// What party 1 sees of a program whose rows are `factor` times as large as it was made for.
    func strained(_ factor: UInt64, _ deployment: Deployment) throws -> StrainedOperands {
      var weights = converted.weights
      weights[0] = weights[0].map { $0 &* factor }
      let run = try TwoPartyRun(
        program: program, weights: weights,
        session: SessionShape(kind: .decoder, promptCapacity: 7, newCapacity: 1),
        seed: Seed(bytes: [UInt8](repeating: 7, count: 32)),
        deployment: deployment)
      _ = try run.run([(converted.oneHot([1, 2, 3, 4, 5, 6]), 6)])
      return run.strained.withLock { $0 }
    }
    for deployment in [Deployment.twoServer, .providerUser] {
      #expect(try strained(1, deployment).warning == nil)
      let warning = try #require(try strained(64, deployment).warning)
      #expect(warning.contains("the first at layers.0."), "\(warning)")
    }
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
