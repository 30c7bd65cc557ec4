// The stages on models whose answers are known, and what an evaluation must notice.

import Approximation
import Bytes
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing
import Validation

struct EvaluatorTests {
  static func evaluate(_ files: ConversionFiles, _ texts: [[Int]] = ConversionFiles.tinyTexts)
    throws -> (evaluator: Evaluator, result: EvaluationResult)
  {
    let file = try ModelFile(path: files.modelPath)
    let evaluator = try Evaluator(file, path: files.modelPath)
    let set = try EvaluationSet(
      model: file.model, texts: file.model.texts(texts), source: "texts")
    return (evaluator, try EvaluationResult(evaluator, set))
  }

  /// Every node is found in the ring: a wrong value, factor, gamma or beta would be far off.
  @Test(arguments: ["opt", "bert", "llama", "client", "prefix"])
  func nodesAreFoundInTheRing(name: String) throws {
    var recipe = Recipe.accurate
    if name == "client" { recipe.embedding = .client }
    let files =
      switch name {
      case "bert": try ConversionFiles.tiny(.bert(width: 24, innerWidth: 40), recipe: recipe)
      case "llama": try ConversionFiles.tiny(TinyGraph.llama(), recipe: recipe)
      case "prefix": try ConversionFiles.tiny(TinyGraph(GraphKind.prefixes[0]), recipe: recipe)
      default: try ConversionFiles.tiny(.opt(width: 24, innerWidth: 40), recipe: recipe)
      }
    let (evaluator, result) = try Self.evaluate(files)
    for (node, error) in zip(evaluator.model.nodes, result.ringErrors) {
      // Normalisations that scale later, and what is made of their rows, have no value of their own.
      #expect(error.value > 0 || evaluator.isScaledLater(node), "\(node.name)")
      #expect(error.value < 0.01, "\(node.name)")
    }
    #expect((0...40).contains(result.headroom))
    #expect(result.functions.allSatisfy { $0.outsideCount == 0 && $0.count > 0 })
    #expect(result.ringAgainstApproximated.mean < 0.01)
    // The same set gives the same numbers again.
    let again = try Self.evaluate(files).result
    #expect(again.ringErrors == result.ringErrors && again.widths == result.widths)
    #expect(again.logits == result.logits && again.embeddings == result.embeddings)
  }

  /// Bits modulo 2, which gates are, have no room above them that they could leave.
  @Test func gatesStayInTheRing() throws {
    let files = try ConversionFiles.tiny(TinyGraph(GraphKind.gates[0]))
    let result = try Self.evaluate(files).result
    #expect((0...40).contains(result.headroom))
  }

  /// Scores of an encoder have a largest one, which is compared; states have none.
  @Test(arguments: ["bert-token-classes", "distilbert-masked"])
  func largestScoresOfEncodersAreCompared(name: String) throws {
    let vector = try #require(FamilyVector.all.first { $0.name == name })
    let files = try ConversionFiles(checkpoint: vector.folder.path, texts: vector.texts)
    let (evaluator, result) = try Self.evaluate(files, vector.texts)
    let ring = try #require(result.embeddings[.ring])
    #expect(ring.topAgreement == 1 && ring.maximumError > 0 && ring.maximumError < 0.05)
    var thresholds = Thresholds()
    thresholds.limits = [.minTop1: 0.99]
    let report = try ValidationReport(
      path: files.modelPath, file: ModelFile(path: files.modelPath), evaluator: evaluator,
      result: result,
      cost: CostReport(
        program: evaluator.program,
        session: CostReport.session(of: evaluator.program, prompt: 8, new: nil),
        network: .regional), thresholds: thresholds)
    #expect(report.misses.isEmpty)
    #expect(report.text.contains("top-1") && report.json.text.contains("\"top1\":1"))
    let pairs = [ScoredPair(first: [1, 2], second: [3], score: 1)]
    #expect(throws: InputError.self) {
      try EvaluationSet(
        model: evaluator.model, texts: [], source: "texts", pairs: pairs, pairSource: "pairs")
    }
  }

  /// The fixture on a prompt: the loss of transformers' logits, and what fixed point leaves of it.
  @Test func fixture() throws {
    let folder = Repository.fixtures.appending(path: "opt-dickens-5m").path
    let tokens = try ReferencePrompt.fixture()[4].tokens
    let reference = try NPY.readFloats("\(folder)/reference/logits_4.npy")
    var expected = LogitMetrics()
    for row in 0..<tokens.count - 1 {
      let logits = reference.values[row * 2048..<(row + 1) * 2048]
      expected.add(stage: logits, original: logits, next: tokens[row + 1])
    }
    let (evaluator, result) = try Self.evaluate(.fixture(), [tokens])
    let original = try #require(result.logits[.original])
    let ring = try #require(result.logits[.ring])
    #expect(original.positionCount == tokens.count - 1)
    #expect(abs(original.meanLoss - expected.meanLoss) < 1e-4)
    #expect(try #require(result.perplexityIncrease(.ring)).magnitude < 0.0005)
    #expect(ring.topAgreement > 0.995 && ring.meanError < 0.002)
    #expect(result.ringAgainstApproximated.mean < 0.002)
    // exp and 1/x of six attentions, six ReLUs, 13 normalisations.
    #expect(evaluator.functions.count == 31)
  }

  /// The loss that transformers finds on the same windows.
  @Test(.needsSharedModels) func perplexityOfTheReference() throws {
    let folder = try #require(Repository.sharedModels).appending(path: "stories260k").path
    let ids = try NPY.readIntegers("\(folder)/reference/eval_ids.npy")
    let expected = try JSON.read("\(folder)/reference/reference.json")
    guard case .object(let members) = expected, case .object(let part) = members["eval_ids"],
      let loss = part["loss"]?.double
    else {
      Issue.record("no loss in the reference")
      return
    }
    let interpreter = try FloatInterpreter(ModelLoader.load(path: folder))
    var metrics = LogitMetrics()
    for row in 0..<ids.shape[0] {
      let tokens = ids.values[row * ids.shape[1]..<(row + 1) * ids.shape[1]].map(Int.init)
      let output = try interpreter.run(tokens: tokens)
      for position in 0..<tokens.count - 1 {
        metrics.add(
          stage: output.row(position), original: output.row(position), next: tokens[position + 1])
      }
    }
    #expect(abs(metrics.meanLoss - loss) < 2e-5, "\(metrics.meanLoss)")
  }

  @Test(.needsSharedModels) func correlationOfTheReference() throws {
    let folder = try #require(Repository.sharedModels).appending(path: "minilm-l6-v2").path
    let cosines = try NPY.readFloats("\(folder)/reference/sts_cosine.npy").values.map(Double.init)
    guard case .array(let pairs) = try JSON.read("\(folder)/reference/sts_pairs.json") else {
      return
    }
    var scores: [Double] = []
    var tokens: [([Int], [Int])] = []
    for pair in pairs {
      var reader = try JSONReader(pair, source: "pairs")
      scores.append(try reader.number("score"))
      tokens.append((try reader.integers("ids1"), try reader.integers("ids2")))
    }
    #expect(abs(try #require(Correlation.spearman(cosines, scores)) - 0.86586) < 1e-5)
    #expect(abs(try #require(Correlation.pearson(cosines, scores)) - 0.86684) < 1e-5)
    let interpreter = try FloatInterpreter(ModelLoader.load(path: folder))
    for index in 0..<12 {
      let embeddings = try [tokens[index].0, tokens[index].1].map { ids in
        let output = try interpreter.run(tokens: ids)
        return Pooling.mean.embedding(output.values, width: output.columnCount)
      }
      #expect(abs(CosineSimilarity.of(embeddings[0], embeddings[1]) - cosines[index]) < 1e-5)
    }
  }

  /// Weights that are read again for every window give the same as those that are kept.
  @Test func aSmallBudgetChangesNothing() throws {
    let files = try ConversionFiles.tiny(.opt())
    let (evaluator, kept) = try Self.evaluate(files)
    let file = try ModelFile(path: files.modelPath)
    let streaming = try Evaluator(
      file, path: files.modelPath, memory: MemoryBudget(byteCount: 1))
    #expect(streaming.keepsWeights == false && evaluator.keepsWeights)
    let read = try EvaluationResult(
      streaming,
      EvaluationSet(model: file.model, texts: ConversionFiles.tinyTexts, source: "texts"))
    #expect(read.logits == kept.logits && read.widths == kept.widths)
  }

  /// Refitted or trained weights are compared with those of the checkpoint they came from.
  @Test func theReferenceIsWhatTheOriginalStageRuns() throws {
    let folders = try (0..<3).map { _ in try ScratchFolder() }
    defer { withExtendedLifetime(folders) {} }
    let checkpoint = try TinyCheckpoint.opt().write(to: folders[0])
    let files = try ConversionFiles(checkpoint: checkpoint, texts: ConversionFiles.tinyTexts)
    var larger = TinyCheckpoint.opt()
    let name = "model.decoder.layers.0.fc2.weight"
    let values = try #require(larger.tensors[name]).values
    larger.tensors[name]?.values = values.map { $0 * 1.5 }
    let other = try larger.write(to: folders[1])
    let file = try ModelFile(path: files.modelPath)
    let set = try EvaluationSet(
      model: file.model, texts: ConversionFiles.tinyTexts, source: "texts")
    func metrics(_ path: String) throws -> EvaluationResult {
      try EvaluationResult(
        Evaluator(file, path: files.modelPath, reference: ModelLoader.load(path: path)), set)
    }
    let own = try Self.evaluate(files).result
    let same = try metrics(checkpoint)
    #expect(same.logits == own.logits && same.ringErrors == own.ringErrors)
    let changed = try metrics(other)
    #expect(changed.logits[.original] != own.logits[.original])
    #expect(try #require(changed.logits[.ring]).meanError > 0.01)
    #expect(changed.ringAgainstApproximated == own.ringAgainstApproximated)
    let encoder = try TinyCheckpoint.bert().write(to: folders[2])
    let error = #expect(throws: InputError.self) { try metrics(encoder) }
    #expect(error?.cause.contains("is another model") == true)
  }

  /// A text that the calibration did not prepare for is seen in the shares outside the ranges.
  @Test func inputsOutsideTheirRangeAreCounted() throws {
    let folder = try ScratchFolder()
    var recipe = Recipe.accurate
    recipe.headroom = 1
    let files = try ConversionFiles(
      checkpoint: TinyCheckpoint.opt().write(to: folder), texts: [[1], [7], [2], [3], [4]],
      recipe: recipe)
    let (evaluator, result) = try Self.evaluate(files)
    let outside = zip(evaluator.functions, result.functions).filter { $1.outsideCount > 0 }
    #expect(outside.contains { $0.0.place == .activation })
    #expect(outside.contains { $0.0.place == .reciprocalSquareRoot })
    #expect(outside.allSatisfy { $1.outsideShare > 0 && $1.outsideShare <= 1 })
  }

  /// So are numbers beyond the bits that party 1 is shown of the operand of a permuted function.
  @Test func operandsOfPermutedFunctionsHaveTheirBits() throws {
    let (evaluator, result) = try Self.evaluate(
      .tiny(.opt(), recipe: try #require(Recipe.shipped("permllm"))))
    let program = evaluator.program
    var hiddenCount = 0
    for node in program.nodes {
      guard case .permuted(let x, let function) = node.operation else { continue }
      let opening = function.opening
      // What the share has beyond them is of no use to party 1.
      if program.values[x].ringBits - opening.shift - opening.bits >= 3 { hiddenCount += 1 }
      let widest = try #require(result.widths[x].counts.lastIndex { $0 > 0 })
      // The calibrated range four times, rounded up to a bit, and two spare ones.
      #expect((3...6).contains(BitWidthHistogram.limit - widest), "\(node.label)")
    }
    #expect(hiddenCount > 0)
  }

  /// One token has one variance at every normalisation: a range of one point is widened.
  @Test func aSingleTokenIsEnoughToCalibrate() throws {
    let folder = try ScratchFolder()
    var recipe = Recipe.accurate
    recipe.headroom = 1
    let files = try ConversionFiles(
      checkpoint: TinyCheckpoint.opt().write(to: folder), texts: [[1]], recipe: recipe)
    let (_, result) = try Self.evaluate(files, [[1, 1]])
    #expect(result.ringErrors.allSatisfy { $0.value.isFinite })
  }

  /// The evaluation on the calibration's own texts sees the inputs that calibration saw.
  @Test func calibratedInputsAreThoseOfTheTexts() throws {
    let (evaluator, result) = try Self.evaluate(.tiny(.opt(width: 24, innerWidth: 40)))
    for (function, statistics) in zip(evaluator.functions, result.functions) {
      let borders = statistics.inputs.borders
      let shares = try #require(function.calibratedShares(borders: borders))
      // In eighths of the drawn range: bins of the calibration are coarser than those drawn.
      for eighth in stride(from: 0, to: shares.count, by: 16) {
        let part = shares[eighth..<eighth + 16].reduce(0, +)
        let counted = statistics.inputs.counts[eighth..<eighth + 16].reduce(0, +)
        let expected = Double(counted) / Double(statistics.count)
        #expect(abs(part - expected) < 0.1, "\(function.node) \(function.original) \(eighth)")
      }
      #expect(shares.reduce(0, +) <= 1.000001)
    }
  }

  @Test func growthIsFoundWhereItBegins() {
    let inputs = [[], [0], [1], [0, 2]]
    func growth(_ errors: [Double]) -> ErrorGrowth? {
      EvaluationResult.firstGrowth(errors, inputs: inputs)
    }
    #expect(growth([1e-5, 2e-5, 3e-5, 4e-5]) == nil)
    // Small errors may grow: what is left of them does not matter.
    #expect(growth([1e-6, 9e-5, 9e-4, 9e-4]) == nil)
    let found = growth([1e-5, 2e-5, 0.02, 0.03])
    #expect(found?.node == 2 && found?.error == 0.02 && found?.inputError == 2e-5)
    // Slow growth is inherited, not caused.
    #expect(growth([2e-4, 7e-4, 2e-3, 7e-3]) == nil)
    #expect(growth([1e-5, .nan, 0.1, 0.1])?.node == 1)
  }

  @Test func weightsThatAreNotFiniteAreRefused() throws {
    let files = try ConversionFiles.tiny(.opt())
    let path = files.scratch.file("nan.lodge")
    let broken = try #require(files.model.weights.last).name
    var weights = ReplacedWeights(files.weights)
    var values = try files.weights.weight(broken)
    values[3] = .nan
    weights.replace(broken, by: values)
    try ModelFile.write(
      to: path, model: files.model, recipe: files.recipe, calibration: files.calibration,
      checkpoint: "checkpoint", weights: weights)
    let error = #expect(throws: InputError.self) {
      try Evaluator(ModelFile(path: path), path: path)
    }
    #expect(
      error?.description == "\(path): weights/\(broken): element 3 is nan", "\(error as Any)")
  }
}
