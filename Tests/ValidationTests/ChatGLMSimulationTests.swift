// A small ChatGLM in two parties, against the independent forward pass of tools/lodge/references/write_chatglm.py.

import Approximation
import Bytes
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing
import Validation

struct ChatGLMSimulationTests {
  static let folder = Repository.fixtures.appending(path: "chatglm-small")

  /// Largest difference of a logit, by the noise of fixed point in this model: the mean is a tenth of it.
  static let tolerance = 0.05

  static func calibrationTexts() throws -> [[Int]] {
    try TokenFile.read(folder.appending(path: "calibration.json").path)
  }

  static let converted = Result {
    try ConvertedModel(path: folder.path, calibrationTexts: calibrationTexts())
  }

  /// Prompts whose mask stands right before the start token, with the tokens up to that.
  static func prompts() throws -> [(index: Int, prompt: ReferencePrompt, promptLength: Int)] {
    let markers = try #require(converted.get().program.output.contextMarkers)
    let all = try ReferencePrompt.read(
      folder.appending(path: "reference/prompts.json").path)
    return all.enumerated().compactMap { index, prompt in
      (try? markers.promptLength(of: prompt.tokens)).map { (index, prompt, $0) }
    }
  }

  /// Outputs of a session that is longer than the prompt, which then goes on token by token.
  static func outputs(
    _ program: SecureProgram, _ weights: [[UInt64]], _ tokens: [Int], promptLength: Int,
    deployment: Deployment = .twoServer
  ) throws -> [[Float]] {
    let steps = [Array(tokens[..<promptLength])] + tokens[promptLength...].map { [$0] }
    return try SimulatedRun.compare(
      program, weights,
      SessionShape(kind: .prefixDecoder, promptCapacity: 12, newCapacity: 9),
      steps: steps.map { tokens in
        (
          tokens.flatMap { token in
            (0..<program.vocabularySize).map { $0 == token ? UInt64(1) : 0 }
          }, tokens.count
        )
      }, deployment: deployment
    ).outputs.map(program.outputValues)
  }

  @Test func logitsInTwoParties() throws {
    let converted = try Self.converted.get()
    let prompts = try Self.prompts()
    #expect(prompts.map(\.index) == [0, 1, 3, 4, 5])
    for (index, prompt, promptLength) in prompts {
      let reference = try NPY.readFloats(
        Self.folder.appending(path: "reference/logits_\(index).npy").path)
      let width = converted.program.vocabularySize
      let outputs = try Self.outputs(
        converted.program, converted.weights, prompt.tokens, promptLength: promptLength)
      var difference = LogitDifference()
      for (step, output) in outputs.enumerated() {
        let row = promptLength - 1 + step
        difference.add(output, reference.values[row * width..<(row + 1) * width])
      }
      print("chatglm-small, prompt \(index): \(difference)")
      #expect(outputs.count == prompt.tokens.count - promptLength + 1)
      #expect(difference.mean < 0.005)
      #expect(difference.maximum < Self.tolerance)
    }
  }

  @Test func greedyTokensInTwoParties() throws {
    let converted = try Self.converted.get()
    let prompts = try Self.prompts().filter { !$0.prompt.greedy.isEmpty }
    #expect(prompts.count == 3)
    for (_, prompt, promptLength) in prompts {
      let outputs = try Self.outputs(
        converted.program, converted.weights, prompt.tokens + prompt.greedy.dropLast(),
        promptLength: promptLength)
      let tokens = outputs.map { row in row.indices.max { row[$0] < row[$1] } }
      #expect(tokens == prompt.greedy)
    }
  }

  /// Two parties give the simulator's words, and these are near the graph with the recipe's functions.
  @Test(arguments: Recipe.shipped.map(\.name)) func everyRecipe(name: String) throws {
    let loaded = try ModelLoader.load(path: Self.folder.path)
    let interpreter = try FloatInterpreter(loaded)
    let texts = try Self.calibrationTexts()
    let approximated = try ApproximatedModel(
      loaded.model, weights: loaded, recipe: #require(Recipe.shipped(name)),
      calibration: .observe(interpreter, texts: texts, source: "texts"),
      texts: ApproximatedModel.Texts(texts, source: "texts"))
    let encoder = WeightEncoder(source: Self.folder.path, weights: loaded)
    let weights = try approximated.program.weights.map { try encoder.encode($0) }
    let replaced = interpreter.replacing(
      try FunctionTable(loaded.model, recipe: approximated.recipe))
    let prompt = try #require(Self.prompts().first { $0.index == 1 })
    let outputs = try Self.outputs(
      approximated.program, weights, prompt.prompt.tokens, promptLength: prompt.promptLength)
    let exact = try interpreter.run(tokens: prompt.prompt.tokens)
    let float = try replaced.run(tokens: prompt.prompt.tokens)
    var (approximation, fixedPoint) = (LogitDifference(), LogitDifference())
    for (step, output) in outputs.enumerated() {
      let row = prompt.promptLength - 1 + step
      approximation.add(Array(float.row(row)), exact.row(row))
      fixedPoint.add(output, float.row(row))
    }
    print("chatglm-small, \(name): approximation \(approximation), fixed point \(fixedPoint)")
    #expect(fixedPoint.mean < 5e-3 * max(approximation.mean, 1))
  }

  /// With a user, who alone sees what is not linear: 12 flights a layer, although queries and keys are
  /// truncated and opened once more, and sums are scaled.
  @Test func permutedForAUser() throws {
    let loaded = try ModelLoader.load(path: Self.folder.path)
    let interpreter = try FloatInterpreter(loaded)
    let approximated = try ApproximatedModel(
      loaded.model, weights: loaded, recipe: #require(Recipe.shipped("permllm")),
      calibration: .observe(interpreter, texts: Self.calibrationTexts(), source: "texts"))
    let program = approximated.program
    let encoder = WeightEncoder(source: Self.folder.path, weights: loaded)
    for (_, prompt, promptLength) in try Self.prompts() {
      let outputs = try Self.outputs(
        program, program.weights.map { try encoder.encode($0) }, prompt.tokens,
        promptLength: promptLength, deployment: .providerUser)
      let exact = try interpreter.run(tokens: prompt.tokens)
      var difference = LogitDifference()
      for (step, output) in outputs.enumerated() {
        difference.add(output, exact.row(promptLength - 1 + step))
      }
      print("chatglm-small, permllm for a user: \(difference)")
      #expect(difference.mean < 2e-3 && difference.maximum < 0.03)
    }
    let session = SessionShape(kind: .prefixDecoder, promptCapacity: 12, newCapacity: 9)
    let step = SessionStep(session: session, rows: 12..<13, index: 1, promptLength: 12)
    let cost = program.cost(of: step, deployment: .providerUser)
    let layerCount = loaded.model.nodes.count {
      if case .attention = $0.operation { true } else { false }
    }
    // The token, the last normalisation and the logits take three more.
    print("chatglm-small, permllm for a user: \(cost.roundCount) flights, \(layerCount) layers")
    #expect(cost.roundCount <= 12 * layerCount + 3)
  }

  /// Between two servers queries and keys are turned before they are scaled, bias and all: none is opened
  /// a second time.
  @Test func queriesAreTurnedBeforeTheyAreScaled() throws {
    var recipe = Recipe.accurate
    recipe.fractionalBits = 14
    let converted = try ConvertedModel(
      path: Self.folder.path, calibrationTexts: Self.calibrationTexts(), recipe: recipe)
    let program = converted.program
    let session = SessionShape(kind: .prefixDecoder, promptCapacity: 12, newCapacity: 9)
    let step = SessionStep(session: session, rows: 12..<13, index: 1, promptLength: 12)
    // The token, and the last normalisation with the logits, take four more.
    #expect(program.cost(of: step).roundCount <= 15 * 3 + 4)
    #expect(
      !program.nodes.contains {
        if case .widen = $0.operation { $0.label.hasSuffix("attention.scores") } else { false }
      })
  }

  /// All stages of a validation, from the start token of each text on.
  @Test func validates() throws {
    let texts = try Self.calibrationTexts()
    let files = try ConversionFiles(checkpoint: Self.folder.path, texts: texts)
    let evaluator = try Evaluator(ModelFile(path: files.modelPath), path: files.modelPath)
    let set = try EvaluationSet(
      model: evaluator.model, texts: Array(texts.prefix(4)), source: "texts")
    #expect(set.windows.map(\.tokens) == Array(texts.prefix(4)))
    #expect(set.windows.map { $0.tokens[$0.scored.lowerBound] } == [34, 34, 34, 34])
    let result = try EvaluationResult(evaluator, set)
    let ring = try #require(result.logits[.ring])
    #expect(ring.positionCount == set.scoredCount)
    let sample = try SecureSample(
      ModelFile(path: files.modelPath), evaluator: evaluator, set: set, sessionCount: 1)
    #expect(sample.stepCount == set.windows[0].scored.count + 1)
  }

  /// A token that no text has and whose embedding is far larger is run in a context and behind one.
  @Test func unseenTokensAreTried() throws {
    let loaded = try ModelLoader.load(path: Self.folder.path)
    let weights = LargeRow(of: loaded, token: 20)
    let texts = try Self.calibrationTexts().filter { !$0.contains(20) }
    let interpreter = try FloatInterpreter(loaded.model, weights: weights)
    let approximated = try ApproximatedModel(
      loaded.model, weights: weights, recipe: .accurate,
      calibration: .observe(interpreter, texts: texts, source: "texts"),
      texts: ApproximatedModel.Texts(texts, source: "texts"))
    let rows = try #require(approximated.unusualRows)
    #expect(rows.tokens == [20] && rows.triedTokens == [20])
    let encoder = WeightEncoder(source: "weights", weights: weights)
    let elements = try approximated.program.weights.map { try encoder.encode($0) }
    let text = [20, 4, 20, 31, 34, 20, 7]
    let reference = try interpreter.run(tokens: text)
    let outputs = try Self.outputs(approximated.program, elements, text, promptLength: 5)
    var difference = LogitDifference()
    for (step, output) in outputs.enumerated() { difference.add(output, reference.row(4 + step)) }
    #expect(difference.mean < 0.005)
  }

  /// Ranges of row maxima hold those of contexts with few keys, whose largest score is less.
  @Test func shortContextsAreCalibrated() throws {
    let interpreter = try FloatInterpreter(ModelLoader.load(path: Self.folder.path))
    let calibration = try Calibration.observe(
      interpreter, texts: [[5, 8, 13, 2, 21, 9, 9, 17, 31, 34, 3]], source: "texts")
    let maxima = try #require(calibration.rowMaxima["layers.0.attention"])
    for text in [[5, 31, 34], [5, 8, 31, 34], [5, 8, 13, 2, 31, 34]] {
      var rows: [Float] = []
      _ = try interpreter.run(tokens: text) { node, kind, values in
        if kind == .rowMaxima, interpreter.model.nodes[node].name == "layers.0.attention" {
          rows = values
        }
      }
      #expect(rows.count == 3 * text.count)
      for (index, value) in rows.enumerated() {
        let range = maxima[index / text.count]
        #expect((range.lowerBound - 1e-4...range.upperBound + 1e-4).contains(Double(value)))
      }
    }
  }
}

/// The weights of a model in which the embedding of one token is 50 times as large.
private struct LargeRow: WeightSource {
  let model: LoadedModel
  let token: Int

  init(of model: LoadedModel, token: Int) {
    self.model = model
    self.token = token
  }

  func weight(_ name: String) throws(InputError) -> [Float] {
    var values = try model.weight(name)
    guard name == "embedTokens", let shape = model.model.weights.first(where: { $0.name == name })
    else { return values }
    let width = shape.shape[1]
    for index in token * width..<(token + 1) * width { values[index] *= 50 }
    return values
  }
}
