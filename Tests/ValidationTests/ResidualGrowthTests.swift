// Pitfall: without variances in its normalisations a residual stream may grow from layer to layer.

import Approximation
import Bytes
import Models
import Program
import Sharing
import TestSupport
import Testing
import Validation

struct ResidualGrowthTests {
  /// A model whose layers each add several times what they read, once nothing divides it.
  private static func growing(_ folder: ScratchFolder) throws -> LoadedModel {
    var checkpoint = TinyCheckpoint.opt(layerCount: 4, width: 16, innerWidth: 24)
    for layer in 0..<4 {
      let name = "model.decoder.layers.\(layer).fc2.weight"
      let values = checkpoint.tensors[name]?.values ?? []
      checkpoint.tensors[name]?.values = values.map { $0 * 6 }
    }
    return try ModelLoader.load(path: checkpoint.write(to: folder))
  }

  private static func evaluate(
    _ loaded: LoadedModel, recipe: Recipe, calibration: Calibration, in folder: ScratchFolder
  ) throws -> EvaluationResult {
    let path = folder.file("\(calibration.json.text.count).lodge")
    try ModelFile.write(
      to: path, model: loaded.model, recipe: recipe, calibration: calibration,
      checkpoint: "checkpoint", weights: loaded)
    let file = try ModelFile(path: path)
    return try EvaluationResult(
      Evaluator(file, path: path),
      EvaluationSet(model: file.model, texts: ConversionFiles.tinyTexts, source: "texts"))
  }

  @Test func rangesAreThoseOfTheReplacedGraph() throws {
    let folder = try ScratchFolder()
    let loaded = try Self.growing(folder)
    let texts = ConversionFiles.tinyTexts
    let original = try Calibration.observe(
      FloatInterpreter(loaded), texts: texts, source: "texts")
    var recipe = try #require(Recipe.shipped("pcft"))
    recipe.choose(ReplacementChoice(AffineNormalisation(factor: 0.7)), for: .layerNorm)
    let approximated = try ApproximatedModel(
      loaded.model, weights: loaded, recipe: recipe, calibration: original,
      texts: ApproximatedModel.Texts(texts, source: "texts"))
    let last = "layers.3.feedForward.down"
    let growth =
      try approximated.calibration.bound(last) / original.bound(last)
    #expect(growth > 30)
    // Ranges of the original only: values leave the ring, or what lowering made room for.
    let naive = try Self.evaluate(
      loaded, recipe: approximated.recipe, calibration: original, in: folder)
    let careful = try Self.evaluate(
      loaded, recipe: approximated.recipe, calibration: approximated.calibration, in: folder)
    print("growth \(growth), naive \(naive.ringAgainstApproximated)")
    print("careful \(careful.ringAgainstApproximated), headroom \(careful.headroom)")
    let scale = try approximated.calibration.bound("logits")
    #expect(careful.ringAgainstApproximated.mean < 1e-4 * scale)
    #expect(naive.ringAgainstApproximated.mean > 1e-2 * scale)
  }
}
