// The trained model with gates: in float as a second implementation computes it, and in fixed point.

import Approximation
import Bytes
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing
import Validation

struct GatedFixtureTests {
  private static let folder = Repository.fixtures.appending(path: "opt-dickens-gated")

  private static func texts() throws -> [[Int]] {
    try TokenFile.read(folder.appending(path: "reference/texts.json").path)
  }

  private static func converted() throws -> ConvertedModel {
    let texts = Repository.fixtures.appending(path: "opt-dickens-5m/calibration.json")
    return try ConvertedModel(
      path: folder.path, calibrationTexts: TokenFile.read(texts.path))
  }

  /// `tools/development/gated-logits` wrote the logits, in double precision.
  @Test func logitsInFloat() throws {
    let interpreter = try FloatInterpreter(ModelLoader.load(path: Self.folder.path))
    for (index, tokens) in try Self.texts().enumerated() {
      let path = Self.folder.appending(path: "reference/logits_\(index).npy").path
      let expected = try NPY.readFloats(path)
      let output = try interpreter.run(tokens: tokens)
      #expect(expected.shape == [tokens.count, output.columnCount])
      let error = zip(output.values, expected.values).reduce(0) { max($0, abs($1.0 - $1.1)) }
      #expect(error < 1e-3, "\(error)")
    }
  }

  /// As close to float as without gates, where no score lies within its rounding of 0.
  @Test func logitsInFixedPoint() throws {
    let converted = try Self.converted()
    #expect(converted.program.hasGates)
    var close = 0
    var rows = 0
    for tokens in try Self.texts() {
      let session = SessionShape(
        kind: .decoder, promptCapacity: 8, newCapacity: tokens.count - 7)
      var simulator = FixtureSimulationTests.simulator(converted)
      let reference = try converted.interpreter.run(tokens: tokens)
      var row = 0
      for index in 0..<tokens.count - 7 {
        let count = index == 0 ? 8 : 1
        let output = simulator.step(
          SessionStep(session: session, rows: row..<row + count, index: index),
          input: converted.oneHot(Array(tokens[row..<row + count])))
        row += count
        var difference = LogitDifference()
        difference.add(converted.decoded(output), reference.row(row - 1))
        rows += 1
        if difference.mean < 0.002 { close += 1 }
      }
    }
    #expect(Double(close) >= 0.97 * Double(rows), "\(close) of \(rows)")
  }

  /// What gates save of the same model, and that what decides costs little of it.
  @Test func gatesSave() throws {
    // As `lodge-model approximate` converts it.
    let texts = Repository.fixtures.appending(path: "opt-dickens-5m/calibration.json").path
    let loaded = try ModelLoader.load(path: Self.folder.path)
    let weights = try EqualisedWeights(loaded.model, loaded)
    let tokens = try ApproximatedModel.Texts(TokenFile.read(texts), source: texts)
    let converted = try ApproximatedModel(
      loaded.model, weights: weights, recipe: .accurate,
      calibration: Calibration.observe(
        FloatInterpreter(loaded.model, weights: weights), texts: tokens.tokens, source: texts),
      texts: tokens)
    let dense = try SecureProgram.lower(
      loaded.model.ungated, recipe: converted.recipe, calibration: converted.calibration)
    let session = SessionShape(kind: .decoder, promptCapacity: 64, newCapacity: 32)
    let token = SessionStep(session: session, rows: 94..<95, index: 31)
    #expect(
      converted.program.cost(of: token).roundCount <= dense.cost(of: token).roundCount)
    let layers = try GateReport(
      converted.program, dense: dense, calibration: converted.calibration, session: session,
      token: token
    ).layers()
    #expect(layers.count == 5)
    var totals: [String: (gated: Int, gate: Int, dense: Int)] = [
      "sentBytes": (0, 0, 0), "keyBytes": (0, 0, 0),
    ]
    for layer in layers {
      var layer = try JSONReader(layer, source: "report")
      var (gated, gate, dense) = (
        try layer.object("gated"), try layer.object("gate"), try layer.object("dense")
      )
      for key in Array(totals.keys) {
        let bytes = (
          gated: try gated.integer(key), gate: try gate.integer(key), dense: try dense.integer(key)
        )
        #expect(bytes.gated < bytes.dense / 2)
        // Of no layer does the gate cost 15 % of what it saves.
        #expect(100 * bytes.gate < 15 * (bytes.dense - bytes.gated), "\(key): \(bytes)")
        totals[key]?.gated += bytes.gated
        totals[key]?.gate += bytes.gate
        totals[key]?.dense += bytes.dense
      }
    }
    // At most a third is left of all gated layers, and gates cost less than 8 % of what they save.
    for (key, bytes) in totals {
      #expect(3 * bytes.gated <= bytes.dense, "\(key): \(bytes)")
      #expect(100 * bytes.gate < 8 * (bytes.dense - bytes.gated), "\(key): \(bytes)")
    }
  }
}

extension GateReport {
  /// The layers of its JSON.
  func layers() throws -> [JSON] {
    guard case .object(let members) = json, case .array(let layers)? = members["layers"] else {
      throw InputError("report", "has no layers")
    }
    return layers
  }
}
