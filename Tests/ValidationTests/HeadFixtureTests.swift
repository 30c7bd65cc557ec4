// A trained model of which gates skip heads: in float as a second implementation computes it, and in
// fixed point.

import Approximation
import Bytes
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing
import Validation

struct HeadFixtureTests {
  private static let folder = Repository.fixtures.appending(path: "opt-dickens-gated")
  private static let gates = folder.appending(path: "reference/heads.safetensors").path
  private static let texts = Repository.fixtures.appending(path: "opt-dickens-5m")

  private static func text() throws -> [Int] {
    Array(try TokenFile.read(texts.appending(path: "evaluation.json").path)[0].prefix(24))
  }

  private static func loaded() throws -> LoadedModel {
    try ModelLoader.load(path: folder.path, gates: gates)
  }

  /// `tools/development/gated-logits` computes the logits in double precision.
  @Test(.needsPython) func logitsInFloat() throws {
    let scratch = try ScratchFolder()
    for name in ["config.json", "model.safetensors"] {
      try FileManager.default.copyItem(
        atPath: Self.folder.appending(path: name).path, toPath: scratch.file(name))
    }
    try FileManager.default.copyItem(
      atPath: Self.gates, toPath: scratch.file("gates.safetensors"))
    let tokens = try Self.text()
    let texts = try scratch.write(
      Array(JSON.array([.array(tokens.map { .integer($0) })]).text.utf8), to: "texts.json")
    let run = try PythonTool("development/gated-logits").run([
      scratch.path, "--tokens", texts, "--out", scratch.file("logits"),
    ])
    #expect(run.status == 0, "\(run.errors)")
    let expected = try NPY.readFloats(scratch.file("logits") + "/logits_0.npy")
    let loaded = try Self.loaded()
    #expect(
      loaded.notices == [
        "heads.safetensors gates the feed-forward networks of 5 layers and the heads of 5 layers"
      ])
    var open: [Float] = []
    let output = try FloatInterpreter(loaded).run(tokens: tokens) { node, kind, values in
      if kind == .output, loaded.model.nodes[node].name.hasSuffix(".headGate") { open += values }
    }
    #expect(expected.shape == [tokens.count, output.columnCount])
    let error = zip(output.values, expected.values).reduce(0) { max($0, abs($1.0 - $1.1)) }
    #expect(error < 1e-3, "\(error)")
    let share = open.reduce(0, +) / Float(open.count)
    #expect(open.count == 5 * 8 * tokens.count && share > 0.4 && share < 0.9, "\(share)")
  }

  /// Of (row, head) pairs few have keys and values that no row of a session needs: what holes would save.
  @Test func fewKeysAreNeverNeeded() throws {
    let interpreter = try FloatInterpreter(Self.loaded())
    let model = interpreter.model
    var (running, unneeded, all) = (0, 0, 0)
    for text in try TokenFile.read(Self.texts.appending(path: "evaluation.json").path) {
      for start in stride(from: 0, through: text.count - 96, by: 96) {
        _ = try interpreter.run(tokens: Array(text[start..<start + 96])) { node, kind, bits in
          guard kind == .output, model.nodes[node].name.hasSuffix(".headGate") else { return }
          let heads = model.nodes[node].width
          for head in 0..<heads {
            let rows = stride(from: head, to: bits.count, by: heads).map { bits[$0] == 1 }
            running += rows.count { $0 }
            unneeded += rows.count - 1 - (rows.lastIndex(of: true) ?? -1)
            all += rows.count
          }
        }
      }
    }
    let share = Double(unneeded) / Double(all)
    print("| heads run: \(Double(running) / Double(all)) | never needed: \(share) |")
    #expect(all > 0 && share > 0.005 && share < 0.15, "\(share)")
  }

  /// As close to float as without gates, where no score lies within its rounding of 0; and what heads
  /// that do not run save.
  @Test func fixedPoint() throws {
    let loaded = try Self.loaded()
    let path = Self.texts.appending(path: "calibration.json").path
    let converted = try ConvertedModel(
      path: Self.folder.path, gates: Self.gates, calibrationTexts: TokenFile.read(path))
    let tokens = try Self.text()
    let session = SessionShape(kind: .decoder, promptCapacity: 8, newCapacity: tokens.count - 7)
    var simulator = FixtureSimulationTests.simulator(converted)
    let reference = try converted.interpreter.run(tokens: tokens)
    var (row, close) = (0, 0)
    for index in 0..<tokens.count - 7 {
      let count = index == 0 ? 8 : 1
      let output = simulator.step(
        SessionStep(session: session, rows: row..<row + count, index: index),
        input: converted.oneHot(Array(tokens[row..<row + count])))
      row += count
      var difference = LogitDifference()
      difference.add(converted.decoded(output), reference.row(row - 1))
      if difference.mean < 0.002 { close += 1 }
    }
    #expect(close >= tokens.count - 8, "\(close) of \(tokens.count - 7)")

    #expect(
      LeakageEntry.revealed(converted.program).contains {
        $0.operations == "layers.*.headGate" && $0.learns.contains("which of the layer's heads")
      })

    let dense = try SecureProgram.lower(
      loaded.model.ungated, recipe: .accurate, calibration: converted.calibration)
    let long = SessionShape(kind: .decoder, promptCapacity: 64, newCapacity: 32)
    let token = SessionStep(session: long, rows: 94..<95, index: 31)
    #expect(
      converted.program.cost(of: token).roundCount <= dense.cost(of: token).roundCount)
    #expect(!converted.program.allowsRejection && dense.allowsRejection)
    let layers = try GateReport(
      converted.program, dense: dense, calibration: converted.calibration, session: long,
      token: token
    ).layers()
    #expect(layers.count == 10)
    var dealt = (gated: 0, dense: 0)
    for layer in layers {
      var layer = try JSONReader(layer, source: "report")
      guard try layer.string("layer").hasSuffix(" heads") else { continue }
      let density = try layer.number("density")
      var (gated, dense) = (try layer.object("gated"), try layer.object("dense"))
      let share = try Double(gated.integer("sentBytes")) / Double(dense.integer("sentBytes"))
      #expect(share < 0.9, "\(share) at \(density)")
      dealt.gated += try gated.integer("correlationBytes")
      dealt.dense += try dense.integer("correlationBytes")
    }
    // Pools have some spare: of the layer whose rows differ most they hold as much as all heads take.
    #expect(Double(dealt.gated) < 0.92 * Double(dealt.dense), "\(dealt)")
  }
}
