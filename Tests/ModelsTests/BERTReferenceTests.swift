// The float interpreter on all-MiniLM-L6-v2 against the library it comes from.

import Bytes
import Checkpoints
import Foundation
import Models
import TestSupport
import Testing

@Suite(.needsSharedModels) struct BERTReferenceTests {
  @Test func embeddingsOfEverySentence() throws {
    let reference = try ReferenceModel.miniLM
    let interpreter = try FloatInterpreter(reference.load())
    let expected = try reference.array("embeddings.npy")
    let prompts = try reference.prompts()
    #expect(expected.shape == [prompts.count, 384])
    for (index, tokens) in prompts.enumerated() {
      let states = try interpreter.run(tokens: tokens)
      var mean = [Double](repeating: 0, count: states.columnCount)
      for row in 0..<states.rowCount {
        for (column, value) in states.row(row).enumerated() { mean[column] += Double(value) }
      }
      let length = mean.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let embedding = mean.map { Float($0 / length) }
      let difference = largestDifference(
        embedding, expected.values[index * 384..<(index + 1) * 384])
      #expect(difference < 2e-6, "sentence \(index): largest difference \(difference)")
    }
  }

  @Test func hiddenStatesOfEveryLayer() throws {
    let reference = try ReferenceModel.miniLM
    let loaded = try reference.load()
    let expected = try reference.array("hidden_0.npy")
    let names = ["embedLayerNorm"] + (0..<6).map { "layers.\($0).feedForwardLayerNorm" }
    var states: [String: [Float]] = [:]
    _ = try FloatInterpreter(loaded).run(tokens: reference.prompts()[0]) { index, kind, values in
      if kind == .output { states[loaded.model.nodes[index].name] = values }
    }
    let count = expected.values.count / names.count
    for (index, name) in names.enumerated() {
      let state = try #require(states[name])
      let difference = largestDifference(
        state, expected.values[index * count..<(index + 1) * count])
      #expect(difference < 2e-5, "\(name): largest difference \(difference)")
    }
  }

  @Test func inspectionCountsWhatIsUsed() throws {
    let reference = try ReferenceModel.miniLM
    let inspection = try ModelInspection(path: reference.folder.path)
    #expect(inspection.parameterCount == 22_713_216)
    #expect(inspection.usedParameterCount == 22_713_216 - 384 * 385)
    #expect(
      inspection.tensors.filter { $0.weightNames.isEmpty }.map(\.description.name)
        == ["embeddings.position_ids", "pooler.dense.bias", "pooler.dense.weight"])
    #expect(
      inspection.nonLinearOperations == [
        NonLinearOperations(kind: "layerNorm", nodeCount: 13, rowsPerPosition: 1, rowWidth: 384),
        NonLinearOperations(kind: "softmax", nodeCount: 6, rowsPerPosition: 12, rowWidth: 512),
        NonLinearOperations(kind: "gelu", nodeCount: 6, rowsPerPosition: 1, rowWidth: 1536),
      ])
  }
}
