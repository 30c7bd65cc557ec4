// The interpreter's limits, observations and replaceable functions, on tiny models.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

@Suite struct FloatInterpreterTests {
  private let folder: ScratchFolder
  private let decoder: LoadedModel
  private let encoder: LoadedModel

  init() throws {
    folder = try ScratchFolder()
    decoder = try ModelLoader.load(path: TinyCheckpoint.opt().write(to: folder))
    // The first checkpoint stays mapped although its name is written again.
    try FileManager.default.removeItem(atPath: folder.file("model.safetensors"))
    encoder = try ModelLoader.load(path: TinyCheckpoint.bert().write(to: folder))
  }

  @Test(
    arguments: [
      ([], "tokens: there are none"),
      ([1, 2, 3, 4, 5, 6, 7], "tokens: 7 tokens, the model has positions for 6"),
      ([1, 11], "tokens: position 1: token 11 is outside the vocabulary of 11"),
      ([-1], "tokens: position 0: token -1 is outside the vocabulary of 11"),
      ([Int.max], "tokens: position 0: token 9223372036854775807 is outside the vocabulary of 11"),
    ] as [([Int], String)]) func refusesTokens(tokens: [Int], expected: String) throws
  {
    let interpreter = try FloatInterpreter(decoder)
    let error = #expect(throws: InputError.self) { try interpreter.run(tokens: tokens) }
    #expect(error?.description == expected)
  }

  /// Runs `loaded` and returns all observations by node name.
  private func observe(_ loaded: LoadedModel, _ tokens: [Int], functions: FunctionTable = .init())
    throws -> [String: [Observation: [Float]]]
  {
    var seen: [String: [Observation: [Float]]] = [:]
    let interpreter = try FloatInterpreter(loaded, functions: functions)
    let output = try interpreter.run(tokens: tokens) { index, kind, values in
      seen[loaded.model.nodes[index].name, default: [:]][kind, default: []] += values
    }
    #expect(seen[loaded.model.nodes.last?.name ?? ""]?[.output] == output.values)
    return seen
  }

  @Test func observesEachQuantityWhereItBelongs() throws {
    let tokens = [3, 1, 4, 1, 5]
    for (loaded, pairCount) in [(decoder, 15), (encoder, 25)] {
      let seen = try observe(loaded, tokens)
      #expect(seen.count == loaded.model.nodes.count)
      for node in loaded.model.nodes {
        let found = try #require(seen[node.name])
        #expect(found[.output]?.count == tokens.count * node.width)
        switch node.operation {
        case .layerNorm: #expect(Set(found.keys) == [.output, .variance])
        case .attention:
          #expect(Set(found.keys) == [.output, .scores, .centredScores, .denominator, .rowMaxima])
        default: #expect(Set(found.keys) == [.output])
        }
      }
      #expect(seen["layers.1.attention"]?[.scores]?.count == 2 * pairCount)
    }
  }

  /// Scores, variances and attention recomputed in Double from the observed inputs.
  @Test func observationsAreWhatTheySay() throws {
    let seen = try observe(decoder, [3, 1, 4])
    func values(_ node: String, _ kind: Observation = .output) throws -> [Double] {
      try #require(seen[node]?[kind]).map(Double.init)
    }
    let stream = try values("embed")
    let variances = try values("layers.0.inputLayerNorm", .variance)
    for row in 0..<3 {
      let elements = stream[row * 8..<row * 8 + 8]
      let mean = elements.reduce(0, +) / 8
      let variance = elements.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 8
      #expect(abs(variance - variances[row]) < 1e-6)
    }
    let query = try values("layers.0.attention.query")
    let key = try values("layers.0.attention.key")
    let value = try values("layers.0.attention.value")
    let output = try values("layers.0.attention")
    var scores: [Double] = []
    var centred: [Double] = []
    var sums: [Double] = []
    for head in 0..<2 {
      for row in 0..<3 {
        let rowScores = (0...row).map { other in
          0.5
            * (0..<4).reduce(0) {
              $0 + query[row * 8 + head * 4 + $1] * key[other * 8 + head * 4 + $1]
            }
        }
        let largest = rowScores.max() ?? 0
        scores += rowScores
        centred += rowScores.map { $0 - largest }
        sums.append(rowScores.reduce(0) { $0 + exp($1 - largest) })
        let powers = rowScores.map { exp($0) }
        let sum = powers.reduce(0, +)
        for column in head * 4..<head * 4 + 4 {
          let expected = (0...row).reduce(0) { $0 + powers[$1] / sum * value[$1 * 8 + column] }
          #expect(abs(expected - output[row * 8 + column]) < 1e-6)
        }
      }
    }
    func difference(_ left: [Double], _ right: [Double]) -> Double {
      zip(left, right).reduce(0) { max($0, abs($1.0 - $1.1)) }
    }
    #expect(difference(scores, try values("layers.0.attention", .scores)) < 1e-6)
    #expect(difference(centred, try values("layers.0.attention", .centredScores)) < 1e-6)
    #expect(difference(sums, try values("layers.0.attention", .denominator)) < 1e-6)
  }

  @Test func encodersSeeLaterPositions() throws {
    let interpreter = try FloatInterpreter(encoder)
    let one = try interpreter.run(tokens: [1, 2, 3])
    let other = try interpreter.run(tokens: [1, 2, 4])
    #expect(largestDifference(one.row(0), other.row(0)) > 1e-3)
  }

  @Test func replacedFunctionsAreUsedWhereNamedAndNowhereElse() throws {
    let exact = try FloatInterpreter(encoder)
    let tokens = [7, 0, 10, 2]
    let expected = try exact.run(tokens: tokens)
    // The exact functions under every name change nothing.
    var table = FunctionTable()
    for node in encoder.model.nodes {
      switch node.operation {
      case .activation(_, let activation): table.activations[node.name] = activation.function
      case .attention:
        table.softmaxes[node.name] = { row in
          let largest = row.max() ?? 0
          let powers = row.map { Float(exp($0 - largest)) }
          let sum = row.reduce(0) { $0 + exp($1 - largest) }
          row = powers.map { Double($0) * (1 / sum) }
        }
      case .layerNorm: table.reciprocalSquareRoots[node.name] = { 1 / $0.squareRoot() }
      default: break
      }
    }
    #expect(try exact.replacing(table).run(tokens: tokens) == expected)

    var changed = FunctionTable()
    changed.activations["layers.0.feedForward.activation"] = { _ in 0 }
    let seen = try observe(encoder, tokens, functions: changed)
    #expect(seen["layers.0.feedForward.activation"]?[.output]?.allSatisfy { $0 == 0 } == true)
    #expect(seen["layers.1.feedForward.activation"]?[.output]?.allSatisfy { $0 == 0 } == false)

    // Equal weights make attention the mean of the values that a position sees.
    var flat = FunctionTable()
    flat.softmaxes["layers.0.attention"] = { row in
      row = row.map { _ in 1 / Double(row.count) }
    }
    let means = try observe(decoder, tokens, functions: flat)
    let value = try #require(means["layers.0.attention.value"]?[.output])
    let output = try #require(means["layers.0.attention"]?[.output])
    for column in 0..<8 {
      let mean = (0..<4).reduce(Float(0)) { $0 + value[$1 * 8 + column] } / 4
      #expect(abs(mean - output[24 + column]) < 1e-6)
    }

    var doubled = FunctionTable()
    doubled.softmaxes["layers.0.attention"] = { row in
      let powers = row.map { exp($0) }
      let sum = powers.reduce(0, +)
      row = powers.map { 2 * $0 / sum }
    }
    doubled.reciprocalSquareRoots["finalLayerNorm"] = { _ in 0 }
    let other = try observe(decoder, tokens, functions: doubled)
    let plain = try observe(decoder, tokens)
    let single = try #require(plain["layers.0.attention"]?[.output])
    let twice = try #require(other["layers.0.attention"]?[.output])
    #expect(largestDifference(single.map { 2 * $0 }, twice) < 1e-5)
    #expect(
      other["finalLayerNorm"]?[.output].map { Array($0.prefix(8)) }
        == (try decoder.weight("finalLayerNorm.beta")))
  }

  @Test func exactActivations() {
    let relu = Activation.relu.function
    #expect([-2, -0.0, 0, 3].map(relu) == [0, 0, 0, 3])
    // x * Phi(x) to 15 digits.
    let gelu = Activation.gelu.function
    for (x, expected) in [
      (0.0, 0.0), (1.0, 0.841344746068543), (-1.0, -0.158655253931457),
      (3.0, 2.99595030590511), (-5.0, -1.43325786e-6),
    ] {
      #expect(abs(gelu(x) - expected) < 1e-13)
    }
  }

  /// With no memory to keep weights in, every part is read anew, and each text runs by itself.
  @Test(.needsSharedModels, arguments: ["opt-dickens-5m", "minilm-l6-v2", "gpt2-dickens-6m"])
  func weightsInPartsGiveTheSame(name: String) throws {
    let path = try #require(Repository.sharedModels).appending(path: name).path
    let loaded = try ModelLoader.load(path: path)
    let whole = try FloatInterpreter(loaded)
    let parts = try FloatInterpreter(loaded, memory: MemoryBudget(byteCount: 1))
    let texts = [[5, 17, 301, 44], [9], Array(100..<130)]
    var seen: [Int] = []
    try parts.run(
      texts: texts, source: "texts",
      receive: { index, output in
        seen.append(index)
        let expected = try? whole.run(tokens: texts[index])
        #expect(output.rowCount == texts[index].count)
        #expect(largestDifference(output.values[...], expected?.values[...] ?? []) < 1e-4)
      })
    #expect(seen == [0, 1, 2])
  }

  @Test func textsThatRunTogetherDoNotSeeEachOther() throws {
    let texts = [[3, 1, 4], [1, 5, 9, 2, 6], [5]]
    for loaded in [decoder, encoder] {
      let interpreter = try FloatInterpreter(loaded)
      var outputs: [FloatMatrix] = []
      var steps: [Int] = []
      try interpreter.run(
        texts: texts, source: "texts", progress: { steps += [$0, $1] },
        receive: { outputs.append($1) })
      for (tokens, output) in zip(texts, outputs) {
        let expected = try interpreter.run(tokens: tokens)
        #expect(output == expected)
      }
      let total = texts.count * loaded.model.nodes.count
      #expect(steps == (1...total).flatMap { [$0, total] })
      let error = #expect(throws: InputError.self) {
        try interpreter.run(texts: [[1], [99]], source: "t.json")
      }
      #expect(error?.source == "t.json" && error?.place == "text 1")
    }
  }
}
