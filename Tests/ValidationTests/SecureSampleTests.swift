// Two parties on a sample, as `lodge-check validate --secure` runs them.

import Approximation
import Bytes
import Models
import Program
import Sharing
import TestSupport
import Testing
import Validation

struct SecureSampleTests {
  static func sample(_ files: ConversionFiles, texts: [[Int]]) throws -> SecureSample {
    let file = try ModelFile(path: files.modelPath)
    return try SecureSample(
      file, evaluator: Evaluator(file, path: files.modelPath),
      set: EvaluationSet(model: file.model, texts: texts, source: "texts"), sessionCount: 2)
  }

  @Test(arguments: [Recipe.Embedding.secret, .client])
  func decoder(embedding: Recipe.Embedding) throws {
    var recipe = Recipe.accurate
    recipe.embedding = embedding
    let sample = try Self.sample(
      .tiny(.opt(), recipe: recipe), texts: [[1, 4, 2, 8, 5, 7], [0, 10], [9, 9, 6]])
    // Six tokens: a prompt of three and three more steps; two tokens: a prompt of one and one more.
    #expect(sample.sessionCount == 2 && sample.stepCount == 6 && sample.wordCount == 66)
    #expect(sample.logits.positionCount == 4 && sample.logits.meanError < 0.01)
    #expect(sample.roundCount > 0 && sample.byteCount > 0)
  }

  /// Blocks are shared in a secret order, and the dealer opens some by chance.
  @Test(arguments: [0, 300]) func gates(noise: Int) throws {
    var recipe = Recipe.accurate
    recipe.noise = noise
    let sample = try Self.sample(
      .tiny(TinyGraph(GraphKind.gates[0]), recipe: recipe),
      texts: [[1, 4, 2, 8, 5, 7], [0, 10], [9, 9, 6]])
    #expect(sample.sessionCount == 2 && sample.stepCount == 6 && sample.wordCount == 66)
  }

  @Test func encoder() throws {
    let sample = try Self.sample(.tiny(.bert()), texts: [[1, 4, 2], [0, 10, 3, 3]])
    #expect(sample.stepCount == 2 && sample.wordCount == 7 * 8)
    #expect(sample.embeddings.textCount == 2 && sample.embeddings.minimumCosine > 0.9999)
  }

  /// A simulator with other weights is found out.
  @Test func anotherModelIsNoticed() throws {
    let files = try ConversionFiles.tiny(.opt())
    let path = files.scratch.file("changed.lodge")
    var weights = ReplacedWeights(files.weights)
    for shape in files.model.weights {
      var values = try files.weights.weight(shape.name)
      values[0] += 0.01
      weights.replace(shape.name, by: values)
    }
    try ModelFile.write(
      to: path, model: files.model, recipe: files.recipe, calibration: files.calibration,
      checkpoint: "checkpoint", weights: weights)
    let file = try ModelFile(path: files.modelPath)
    let error = #expect(throws: InputError.self) {
      try SecureSample(
        file, evaluator: Evaluator(ModelFile(path: path), path: path),
        set: EvaluationSet(model: file.model, texts: [[1, 4, 2]], source: "texts"),
        sessionCount: 1)
    }
    #expect(error?.place == "window 0, step 0")
    #expect(error?.cause.contains("is not the simulator's") == true)
  }
}
