// The float interpreter on stories260k, a LLaMA, against the library's reference, in every format.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

@Suite(.needsSharedModels) struct LLaMAReferenceTests {
  /// Files that hold the very same numbers.
  static let exactFiles = [
    "model.safetensors", "pytorch_model.bin", "model.weights.h5", "model.weights.gzip.h5",
    "model.f32.gguf",
  ]

  @Test(arguments: exactFiles) func logitsOfEveryPrompt(file: String) throws {
    try ReferenceModel.stories.checkLogits(of: file)
  }

  @Test func hiddenStatesOfEveryLayer() throws { try ReferenceModel.stories.checkHiddenStates() }
  @Test func isCausal() throws { try ReferenceModel.stories.checkIsCausal() }
  @Test func observedRangesAgreeWithTheReference() throws {
    try ReferenceModel.stories.checkRanges(
      rowQuantity: "mean_square", activationInput: "feedForward.gate")
  }

  @Test func allExactFormatsGiveTheSameWeights() throws {
    let folder = try ReferenceModel.stories.folder
    let first = try ModelLoader.load(path: folder.appending(path: "model.safetensors").path)
    for file in LLaMAReferenceTests.exactFiles.dropFirst() {
      let other = try ModelLoader.load(path: folder.appending(path: file).path)
      for weight in first.model.weights {
        #expect(
          try first.weight(weight.name) == other.weight(weight.name), "\(file) \(weight.name)")
      }
    }
  }

  /// Rounded weights are off by what the reference measured with them, on one more text than here.
  @Test(arguments: ["pytorch_model.bf16.bin", "model.f16.gguf", "model.q8_0.gguf"])
  func roundedWeightsAreAsFarOffAsMeasured(file: String) throws {
    let reference = try ReferenceModel.stories
    let path = reference.folder.appending(path: "reference/formats.json").path
    var formats = try JSONReader(JSON.read(path), source: path)
    var entry = try formats.object(file)
    let measured = try Float(entry.number("largest_logit_difference"))
    let found = try reference.largestLogitDifference(of: file)
    #expect(found > measured / 4 && found < measured * 1.25, "\(found), measured \(measured)")
  }

  /// The loss over four texts is that of the reference to its last digit, rounded weights included.
  @Test(arguments: exactFiles + ["model.f16.gguf", "model.q8_0.gguf", "pytorch_model.bf16.bin"])
  func lossIsAsMeasured(file: String) throws {
    let reference = try ReferenceModel.stories
    let path = reference.folder.appending(path: "reference/formats.json").path
    var formats = try JSONReader(JSON.read(path), source: path)
    var entry = try formats.object(file)
    let measured = try entry.number("loss")
    let texts = try NPY.readIntegers(
      reference.folder.appending(path: "reference/eval_ids.npy").path)
    let interpreter = try FloatInterpreter(reference.load(file))
    let length = texts.shape[1]
    var sum = 0.0
    for text in 0..<4 {
      let tokens = texts.values[text * length..<(text + 1) * length].map { Int($0) }
      let logits = try interpreter.run(tokens: tokens)
      for position in 0..<length - 1 {
        let row = logits.row(position).map { Double($0) }
        let largest = row.max() ?? 0
        let total = row.reduce(0) { $0 + exp($1 - largest) }
        sum += largest + log(total) - row[tokens[position + 1]]
      }
    }
    let loss = sum / Double(4 * (length - 1))
    #expect((loss - measured).magnitude < 1.5e-6, "\(loss), measured \(measured)")
  }
}
