// Calibrations that saw too little: `approximate` says so, and `validate` fails by itself.

import Approximation
import Bytes
import Models
import Sharing
import TestSupport
import Testing
import Validation

@Suite struct LittleTextTests {
  private func notices(_ texts: [[Int]]) throws -> [String] {
    let folder = try ScratchFolder()
    let loaded = try ModelLoader.load(path: TinyCheckpoint.llama().write(to: folder))
    return try Calibration.observe(FloatInterpreter(loaded), texts: texts, source: "texts")
      .textNotices(for: loaded.model)
  }

  @Test func fewTokensAreSaid() throws {
    let notices = try notices([[1, 2], [3]])
    #expect(notices.count == 1)
    #expect(notices[0].contains("3 tokens of 2 texts: that is little"))
    let enough = [[Int]](repeating: [1, 2, 3, 4, 5], count: Calibration.fewTokenCount / 5)
    #expect(try self.notices(enough) == [])
  }

  private func report(calibration texts: [[Int]], evaluation: [[Int]], headroom: Double = 2) throws
    -> ValidationReport
  {
    let folder = try ScratchFolder()
    let loaded = try ModelLoader.load(path: TinyCheckpoint.opt().write(to: folder))
    return try Self.report(loaded, loaded, calibration: texts, evaluation, headroom: headroom)
  }

  /// What `validate` finds on `evaluation` of a model that was converted on `texts`.
  static func report(
    _ loaded: LoadedModel, _ weights: any WeightSource, calibration texts: [[Int]],
    _ evaluation: [[Int]], headroom: Double = 2
  ) throws -> ValidationReport {
    let folder = try ScratchFolder()
    var recipe = Recipe.accurate
    recipe.headroom = headroom
    let interpreter = try FloatInterpreter(loaded.model, weights: ReplacedWeights(weights))
    let approximated = try ApproximatedModel(
      loaded.model, weights: weights, recipe: recipe,
      calibration: .observe(interpreter, texts: texts, source: "texts"))
    let path = folder.file("model.lodge")
    try ModelFile.write(
      to: path, model: loaded.model, recipe: approximated.recipe,
      calibration: approximated.calibration, checkpoint: "tiny",
      weights: ReplacedWeights(approximated.weights))
    let file = try ModelFile(path: path)
    let evaluator = try Evaluator(file, path: path)
    let set = try EvaluationSet(
      model: file.model, texts: evaluation, source: "evaluation", pairs: [], pairSource: "",
      window: nil, stride: nil)
    return try ValidationReport(
      path: path, file: file, evaluator: evaluator, result: EvaluationResult(evaluator, set),
      cost: CostReport(
        program: evaluator.program,
        session: CostReport.session(of: evaluator.program, prompt: nil, new: nil),
        network: .regional), thresholds: Thresholds())
  }

  @Test func inputsBeyondTheirRangeFailWithoutALimit() throws {
    let little = try report(
      calibration: [[1], [7], [2], [3], [4]], evaluation: [[9, 2, 7, 3, 10, 4]], headroom: 1)
    #expect(!little.faults.isEmpty && little.misses.isEmpty)
    #expect(little.faults.contains { $0.contains("lie outside") })
    #expect(little.json.member("isPassed") == false)
    let same = try report(
      calibration: [[9, 2, 7, 3, 10, 4]], evaluation: [[9, 2, 7, 3, 10, 4]])
    #expect(same.faults == [])
    #expect(same.json.member("isPassed") == true)
  }
}

extension JSON {
  fileprivate func member(_ key: String) -> JSON? {
    if case .object(let members) = self { return members[key] }
    return nil
  }
}
