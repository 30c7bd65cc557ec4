// Shipped recipes on whole small models: two parties, the simulator, costs and the float graph.

import Approximation
import Bytes
import Foundation
import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing
import Validation

struct RecipeProgramTests {
  static let texts = [[2, 5, 1, 7, 3, 3], [1, 1, 6, 2], [9, 9, 6, 1, 2]]

  /// A model with its recipe settled, in memory.
  struct Whole {
    var approximated: ApproximatedModel
    var interpreter: FloatInterpreter
    var weights: [[UInt64]]

    init(_ model: Model, _ source: some WeightSource, recipe: Recipe) throws {
      interpreter = try FloatInterpreter(model, weights: source)
      let texts = RecipeProgramTests.texts
      approximated = try ApproximatedModel(
        model, weights: source, recipe: recipe,
        calibration: .observe(interpreter, texts: texts, source: "texts"),
        texts: ApproximatedModel.Texts(texts, source: "texts"))
      let encoder = WeightEncoder(source: "test", weights: source)
      weights = try approximated.program.weights.map { try encoder.encode($0) }
    }

    var program: SecureProgram { approximated.program }

    func oneHot(_ tokens: [Int]) -> [UInt64] {
      tokens.flatMap { token in
        (0..<program.vocabularySize).map { $0 == token ? UInt64(1) : 0 }
      }
    }

    func decoded(_ words: [UInt64]) -> [Float] {
      let unit = pow(0.5, Double(program.outputValue?.fractionalBits ?? 0))
      return words.map { Float(Double(Int64(bitPattern: $0)) * unit) }
    }
  }

  static func model(_ family: String) throws -> (Model, any WeightSource) {
    if family == "llama" {
      let graph = TinyGraph.llama()
      return (graph.model, graph)
    }
    let folder = try ScratchFolder()
    let checkpoint: TinyCheckpoint =
      switch family {
      case "bert": .bert(layerCount: 2, width: 24, innerWidth: 40)
      case "gpt2": .gpt2()
      default: .opt(layerCount: 2, width: 24, innerWidth: 40)
      }
    let loaded = try ModelLoader.load(path: checkpoint.write(to: folder))
    return (loaded.model, loaded)
  }

  /// Bit for bit equal in two parties, as many rounds and words as predicted, and near the
  /// approximated graph in float.
  @Test(arguments: Recipe.shipped.map(\.name), ["opt", "gpt2", "bert", "llama"])
  func recipesRun(name: String, family: String) throws {
    try expectRun(name, family, .keys)
  }

  @Test(arguments: Recipe.shipped.map(\.name), ["gpt2"])
  func recipesRunByBits(name: String, family: String) throws {
    try expectRun(name, family, .bits)
  }

  private func expectRun(_ name: String, _ family: String, _ comparison: Recipe.Comparison) throws {
    var recipe = try #require(Recipe.shipped(name))
    recipe.comparison = comparison
    let (model, source) = try Self.model(family)
    let whole = try Whole(model, source, recipe: recipe)
    let isDecoder = model.kind == .decoder
    let session = SessionShape(
      kind: model.kind, promptCapacity: isDecoder ? 4 : 6, newCapacity: isDecoder ? 2 : 0)
    let steps = isDecoder ? [[2, 5, 1, 7], [3]] : [[2, 5, 1, 7]]
    let run = try TwoPartyRun(
      program: whole.program, weights: whole.weights, session: session,
      seed: TwoPartyModelTests.seed)
    let outputs = try run.run(steps.map { (whole.oneHot($0), $0.count) })
    var simulator = RingSimulator(
      program: whole.program, weights: whole.weights,
      streams: (0...1).map { run.batch.streams(session: 0, party: $0) })
    let approximated = whole.interpreter.replacing(
      try FunctionTable(model, recipe: whole.approximated.recipe))
    var (row, rounds) = (0, 0)
    var tokens: [Int] = []
    for (index, new) in steps.enumerated() {
      let step = SessionStep(session: session, rows: row..<row + new.count, index: index)
      row += new.count
      tokens += new
      simulator.opened = run.openings.withLock { $0[index] }
      #expect(outputs[index] == simulator.step(step, input: whole.oneHot(new)))
      let cost = whole.program.cost(of: step)
      for (party, channel) in run.channels.enumerated() {
        let sent = channel.rounds[rounds..<rounds + cost.roundCount]
        #expect(sent.reduce(0) { $0 + $1.count } == cost.sentWordCounts[party])
        #expect(sent.count { !$0.isEmpty } == cost.messageCounts[party])
      }
      rounds += cost.roundCount
      let float = try approximated.run(tokens: tokens)
      let expected = isDecoder ? Array(float.row(float.rowCount - 1)) : float.values
      var difference = LogitDifference()
      difference.add(whole.decoded(outputs[index]), expected)
      #expect(difference.maximum < 0.03, "\(name), \(family): \(difference)")
    }
    #expect(run.channels.allSatisfy { $0.rounds.count == rounds })
    // A settled recipe is a recipe: it is read again, and lowers to the same program.
    let settled = whole.approximated.recipe
    #expect(try Recipe(json: settled.json, source: "recipe") == settled)
    let again = try Recipe(json: JSON.parse(settled.json.text, source: "r"), source: "r")
    #expect(
      try SecureProgram.lower(
        model, recipe: again, calibration: whole.approximated.calibration) == whole.program)
  }

  /// What a node costs alone is what two parties send for it.
  @Test(arguments: Recipe.shipped.map(\.name), Recipe.Comparison.allCases)
  func costsOfLoneNodesAreThoseOfTheWire(name: String, comparison: Recipe.Comparison) throws {
    var recipe = try #require(Recipe.shipped(name))
    recipe.comparison = comparison
    let (model, source) = try Self.model("gpt2")
    let whole = try Whole(model, source, recipe: recipe)
    for (index, node) in model.nodes.enumerated() where node.layer == 0 {
      guard let form = try whole.approximated.recipe.form(of: index, in: model) else { continue }
      let program = try SecureProgram.lowerAlone(
        model, node: index, form: form, recipe: recipe,
        calibration: whole.approximated.calibration)
      let session = SessionShape(kind: .decoder, promptCapacity: 3, newCapacity: 2)
      let weights = program.weights.map { [UInt64](repeating: 1, count: $0.elementCount) }
      let run = try TwoPartyRun(
        program: program, weights: weights, session: session, seed: TwoPartyModelTests.seed)
      let width = program.inputValue?.shape.width ?? 0
      _ = try run.run([3, 1].map { ([UInt64](repeating: 1 << 10, count: $0 * width), $0) })
      let costs = [(0..<3, 0), (3..<4, 1)].map { rows, step in
        program.cost(of: SessionStep(session: session, rows: rows, index: step))
      }
      for (party, channel) in run.channels.enumerated() {
        #expect(channel.rounds.count == costs.reduce(0) { $0 + $1.roundCount })
        #expect(
          channel.rounds.reduce(0) { $0 + $1.count }
            == costs.reduce(0) { $0 + $1.sentWordCounts[party] })
      }
    }
  }

  /// What a recipe says of all comparisons, of a class and of a node: the nearest counts.
  @Test func comparisonsAreChosenByClassAndNode() throws {
    let (model, source) = try Self.model("opt")
    func comparisons(_ json: JSON) throws -> [String: Set<ComparisonProtocol>] {
      let whole = try Whole(model, source, recipe: Recipe(json: json, source: "a.json"))
      var found: [String: Set<ComparisonProtocol>] = [:]
      for node in whole.program.nodes {
        guard case .piecewiseLinear(_, let function) = node.operation else { continue }
        found[node.label, default: []].insert(function.comparison)
      }
      return found
    }
    let names = (0...1).map { "layers.\($0).feedForward.activation" }
    let maxima = (0...1).map { "layers.\($0).attention.softmax.maximum" }
    let none = try comparisons(["name": "a"])
    #expect(Set(none.values) == [[.keys]])
    let all = try comparisons(["name": "a", "compare": "bits"])
    #expect((names + maxima).allSatisfy { all[$0] == [.bits] })
    // Tables have too many knots.
    #expect(all["layers.0.inputLayerNorm"] == [.keys])
    let mixed = try comparisons([
      "name": "a", "compare": "bits",
      "softmax": ["replacement": "minimax", "compare": "keys"],
      "nodes": ["layers.1.attention": ["softmax": ["replacement": "minimax", "compare": "bits"]]],
    ])
    #expect(names.allSatisfy { mixed[$0] == [.bits] })
    #expect(maxima.map { mixed[$0] } == [[.keys], [.bits]])
  }

  /// Rounds that published replacements and fits take for GeLU alone, its reading included.
  @Test func roundsOfActivations() throws {
    let rounds: [(any Replacement, Int)] = [
      (ReLUActivation(), 1), (QuadActivation(), 1), (BOLTActivation(), 2),
      (BumbleBeeActivation(), 2), (PUMAActivation(), 3),
      (MinimaxActivation(degree: 6, limit: 3.5), 3),
    ]
    for (replacement, expected) in rounds {
      // A reader that takes any number of fractional bits: a product.
      var node = LoneNode(
        width: 4, operation: .activation(0, .gelu), bound: 16, outputBound: 16,
        choice: ReplacementChoice(replacement))
      node.model.nodes.append(
        ModelNode(name: "product", operation: .multiply(1, 0), width: 4))
      node.calibration.include(-99...99, node: "product", quantity: .output)
      let program = try node.program()
      let session = SessionShape(kind: .encoder, promptCapacity: 1, newCapacity: 0)
      let cost = program.cost(of: SessionStep(session: session, rows: 0..<1, index: 0))
      // The product opens once more.
      #expect(cost.roundCount == expected + 1, "\(type(of: replacement).name)")
    }
  }

  /// PCFT's residual stream has nothing that bounds it: growth is seen, and refused where it does
  /// not fit the ring.
  @Test func growthWithoutVarianceIsRefused() throws {
    let (model, source) = try Self.model("opt")
    var recipe = try #require(Recipe.shipped("pcft"))
    let whole = try Whole(model, source, recipe: recipe)
    // A factor as large as that of tiny variances lets the stream grow from layer to layer.
    recipe.choose(ReplacementChoice(AffineNormalisation(factor: 3e4)), for: .layerNorm)
    let error = try #require(inputError { _ = try Whole(model, source, recipe: recipe) })
    #expect(error.source == "lowering" && error.cause.contains("ring"), "\(error)")
    // Ranges of the replaced graph are seen, not those of the original only.
    let exact = try Calibration.observe(
      FloatInterpreter(model, weights: source), texts: Self.texts, source: "texts")
    #expect(whole.approximated.calibration != exact)
    #expect(
      try whole.approximated.calibration.bound("logits") >= exact.bound("logits"))
  }

  /// Inputs outside a replacement's range: refused, clipped or taken.
  @Test func rangesAreKept() throws {
    let (model, source) = try Self.model("bert")
    var recipe = Recipe.accurate
    recipe.choose(ReplacementChoice(QuadActivation()), for: .gelu)
    let interpreter = try FloatInterpreter(model, weights: source)
    var calibration = try Calibration.observe(interpreter, texts: Self.texts, source: "texts")
    calibration.include(-7...1, node: "layers.1.feedForward.up", quantity: .output)
    let error = try #require(
      inputError { _ = try recipe.resolved(for: model, calibration: calibration) })
    #expect(error.place == "layers.1.feedForward.activation" && error.hint.contains("--clamp"))
    recipe.outsideRange = .clamp
    let clamped = try recipe.resolved(for: model, calibration: calibration)
    #expect(
      clamped.choice(for: try #require(model.nodes.first { $0.name == error.place }))?.clamp
        == -5...5)
    let index = try #require(model.nodes.firstIndex { $0.name == error.place })
    guard case .activation(let function)? = try clamped.form(of: index, in: model) else {
      throw CancellationError()
    }
    #expect(function(-7) == function(-5) && function(9) == function(5) && function(1) == 0.875)
    // Of a range without an end, as that of powers of scores, files hold numbers, and nothing is clipped
    // there.
    var oneSided = Recipe.accurate
    oneSided.choose(ReplacementChoice(PowerSoftmax()), for: .softmax)
    oneSided.outsideRange = .clamp
    calibration.include(-7...300, node: "layers.1.attention", quantity: .scores)
    let ended = try oneSided.resolved(for: model, calibration: calibration)
    let attention = try #require(model.nodes.first { $0.name == "layers.1.attention" })
    #expect(ended.choice(for: attention)?.clamp == 0...2400)
    #expect(try Recipe(json: JSON.parse(ended.json.text, source: "r"), source: "r") == ended)
    recipe.outsideRange = .extend
    let extended = try recipe.resolved(for: model, calibration: calibration)
    #expect(extended.choice(for: model.nodes[index])?.clamp == nil)
  }

  @Test func unknownNodesAndLayersAreNamed() throws {
    let (model, source) = try Self.model("opt")
    let calibration = try Calibration.observe(
      FloatInterpreter(model, weights: source), texts: Self.texts, source: "texts")
    func failure(_ json: JSON) throws -> InputError {
      let recipe = try Recipe(json: json, source: "a.json")
      return try #require(
        inputError { _ = try recipe.resolved(for: model, calibration: calibration) })
    }
    let name = try failure([
      "name": "a", "nodes": ["layers.0.atention": ["softmax": "limit"]],
    ])
    #expect(name.hint.contains("layers.0.attention") && name.place == "nodes.layers.0.atention")
    let wrong = try failure(["name": "a", "nodes": ["layers.0.attention": ["gelu": "puma"]]])
    #expect(wrong.cause.contains("softmax"))
    let layer = try failure(["name": "a", "layers": ["2": ["softmax": "limit"]]])
    #expect(layer.place == "layers.2" && layer.cause.contains("2 layers"))
    // What depends on the calibration cannot be lowered before it is settled.
    let fitted = try #require(Recipe.shipped("fitted"))
    let error = try #require(
      inputError {
        _ = try SecureProgram.lower(model, recipe: fitted, calibration: calibration)
      })
    #expect(error.place == "layers.0.attention" && error.cause.contains("fitted"))
  }
}
