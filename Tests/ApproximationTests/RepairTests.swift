// Refitting linear layers after a replacement.

import Approximation
import Bytes
import Foundation
import Models
import TestSupport
import Testing

@Suite struct RepairTests {
  /// A planted affine map is found again; a penalty keeps the change smaller.
  @Test(arguments: [true, false]) func regressionFindsAPlantedMap(hasBias: Bool) throws {
    var random = SplitMix(21)
    let (rowCount, inputs, outputs) = (60, 5, 3)
    func values(_ count: Int) -> [Double] {
      (0..<count).map { _ in Double.random(in: -1...1, using: &random) }
    }
    let x = values(rowCount * inputs)
    let map = values((inputs + (hasBias ? 1 : 0)) * outputs)
    var residuals: [Double] = []
    for row in 0..<rowCount {
      for output in 0..<outputs {
        var sum = hasBias ? map[inputs * outputs + output] : 0
        for column in 0..<inputs {
          sum += x[row * inputs + column] * map[column * outputs + output]
        }
        residuals.append(sum)
      }
    }
    var regression = RidgeRegression(inputs: inputs, outputs: outputs, hasBias: hasBias)
    // In two pieces, as texts come.
    regression.add(
      Array(x.prefix(20 * inputs)), Array(residuals.prefix(20 * outputs)), rowCount: 20)
    regression.add(
      Array(x.dropFirst(20 * inputs)), Array(residuals.dropFirst(20 * outputs)),
      rowCount: rowCount - 20)
    let found = try #require(regression.solution(penalty: 1e-12))
    #expect(zip(found, map).allSatisfy { abs($0 - $1) < 1e-8 })
    #expect(regression.error(of: found, x, residuals, rowCount: rowCount) < 1e-12)
    let small = try #require(regression.solution(penalty: 10))
    func size(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 } }
    #expect(size(small) < size(map) / 4)
  }

  /// ReLU in place of GELU: on other text the repaired model is closer to the original.
  @Test(.needsSharedModels) func repairBringsTheModelCloserOnOtherText() throws {
    let path = try #require(Repository.sharedModels).appending(path: "gpt2-dickens-6m").path
    let loaded = try ModelLoader.load(path: path)
    var functions = FunctionTable()
    for node in loaded.model.nodes {
      if case .activation = node.operation { functions.activations[node.name] = { max($0, 0) } }
    }
    let text = try #require(
      TokenFile.read(Repository.fixtures.appending(path: "opt-dickens-5m/calibration.json").path)
        .first)
    // Token ids of another tokeniser: as good as any text for the algebra, in six pieces.
    let texts = (0..<12).map { piece in text.map { ($0 + 37 * piece) % 2000 }.prefix(96) }
      .map(Array.init)
    let repair = try Repair(
      loaded.model, weights: loaded, functions: functions, texts: Array(texts.prefix(10)),
      source: "texts")
    #expect(
      repair.layers.count
        == loaded.model.nodes.count {
          if case .linear = $0.operation { $0.name != "logits" } else { false }
        })
    for layer in repair.layers {
      #expect(layer.errorAfter <= layer.errorBefore)
      #expect((layer.penalty == nil) == (layer.errorAfter == layer.errorBefore))
    }
    let exact = try FloatInterpreter(loaded)
    let replaced = exact.replacing(functions)
    let repaired = try FloatInterpreter(
      loaded.model, weights: repair.weights, functions: functions)
    func error(_ interpreter: FloatInterpreter) throws -> Double {
      try texts.suffix(2).reduce(0) { sum, tokens in
        let (found, expected) = (
          try interpreter.run(tokens: tokens).values, try exact.run(tokens: tokens).values
        )
        return sum + zip(found, expected).reduce(0) { $0 + Double(abs($1.0 - $1.1)) }
      }
    }
    #expect(try error(repaired) < 0.7 * error(replaced))
  }

  @Test func exactModelsStayAsTheyAre() throws {
    let folder = try ScratchFolder()
    let loaded = try ModelLoader.load(path: TinyCheckpoint.opt().write(to: folder))
    let repair = try Repair(
      loaded.model, weights: loaded, functions: FunctionTable(), texts: ConversionFiles.tinyTexts,
      source: "texts")
    for layer in repair.layers { #expect(layer.errorBefore < 1e-6) }
    for shape in loaded.model.weights {
      let (new, old) = (try repair.weights.weight(shape.name), try loaded.weight(shape.name))
      #expect(zip(new, old).allSatisfy { abs($0 - $1) < 1e-4 })
    }
  }

  @Test func tooManyTokensForTheMemoryAreRefused() throws {
    let folder = try ScratchFolder()
    let loaded = try ModelLoader.load(path: TinyCheckpoint.opt().write(to: folder))
    let error = inputError {
      _ = try Repair(
        loaded.model, weights: loaded, functions: FunctionTable(),
        texts: ConversionFiles.tinyTexts, source: "texts.json",
        memory: MemoryBudget(byteCount: 4096))
    }
    #expect(error?.source == "texts.json" && error?.hint.contains("--memory") == true)
  }
}
